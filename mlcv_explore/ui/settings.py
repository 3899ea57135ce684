"""Controls drawn from a config's own declarations, bound to the address bar."""

import difflib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import streamlit as st

from mlcv_explore.config import Config, Setting, SettingError, choice_label, setting
from mlcv_explore.data.own_folders import Unread, deferred

MOST_SEEDS = 50
RENAMED = {"beside": "compare"}  # names in links of earlier versions → today's


class Seeds(Config):
    """Which seeds a run has: an axis of every run, so they stand in the link as well."""

    seeds: int = setting(
        10,
        "Seeds",
        low=1,
        high=MOST_SEEDS,
        step=1,
        help="How often the whole comparison is repeated; every interval is over these.",
    )
    first_seed: int = setting(
        0,
        "First seed",
        low=0,
        high=100_000,
        step=1,
        more=True,
        help="Seeds are first seed, first seed + 1, …",
    )


def ask(slug: str, config: type[Config], seeds: int | None = None) -> tuple[Config, tuple[int, ...]]:
    """The reader's settings and seeds: the few that matter, the rest folded, and a
    button that resets them all.

    `seeds` is how many a page begins with, where the usual ten would take too long.
    """
    front = [declared for declared in (*config.settings(), *Seeds.settings()) if not declared.more]
    front = [
        replace(declared, default=seeds) if declared.name == "seeds" and seeds is not None else declared
        for declared in front
    ]
    folded = [declared for declared in (*config.settings(), *Seeds.settings()) if declared.more]
    values = {declared.name: control(slug, declared) for declared in front}
    with st.expander("More settings"):
        values |= {declared.name: control(slug, declared) for declared in folded}
    st.button(
        "Reset to defaults",
        key=f"{slug}-reset",
        on_click=_reset,
        args=(slug, (*front, *folded)),
        icon=":material/restart_alt:",
        type="tertiary",
    )
    own = {declared.name for declared in Seeds.settings()}
    try:
        chosen = config(**{name: value for name, value in values.items() if name not in own})
    except SettingError as error:  # a rule between two settings
        st.error(f"{error} The defaults are used.", icon=":material/error:")
        chosen = config()
    chosen_seeds = Seeds(**{name: values[name] for name in own})
    return chosen, tuple(range(chosen_seeds.first_seed, chosen_seeds.first_seed + chosen_seeds.seeds))


def control(slug: str, declared: Setting) -> Any:
    """One widget for one setting; its key is the name in the link."""
    key = f"{slug}-{declared.name}"
    label = f"{declared.label} ({declared.unit})" if declared.unit else declared.label
    text = declared.help or None
    if declared.kind == "bool":
        return st.toggle(label, declared.default, key=key, help=text, bind="query-params")
    if declared.kind == "choice":
        # the link holds what is shown; `Config` takes that and the choice itself alike
        options = {"format_func": choice_label, "key": key, "help": text, "bind": "query-params"}
        choices = declared.choices
        if declared.found:  # "folder@64" can be typed, and is a choice from then on
            options["accept_new_options"] = True
            typed = st.session_state.get(key, declared.default)
            choices += () if typed in choices else (typed,)
        return st.selectbox(label, choices, choices.index(declared.default), **options)
    number = int if declared.kind == "int" else float
    bounds = {
        "min_value": number(declared.low),
        "max_value": number(declared.high),
        "value": number(declared.default),
    }
    if declared.more:  # exact values matter more than sliding
        step = number(declared.step) if declared.step else None
        style = None if declared.kind == "int" else f"%.{_decimals(declared)}f"
        return st.number_input(
            label, **bounds, step=step, key=key, help=text, bind="query-params", format=style
        )
    return st.slider(
        label,
        **bounds,
        step=number(declared.step) if declared.step else None,
        key=key,
        help=text,
        bind="query-params",
    )


def _decimals(declared: Setting) -> int:
    """Enough decimals to write the default and the step."""
    return max(
        len(f"{value:.6f}".rstrip("0").split(".")[1]) for value in (declared.default, declared.step or 0.0)
    )


def _checked(config: type[Config], name: str, raw: str) -> Any:
    """The value of one setting in the link; of a folder that is not yet read its name alone
    is checked. Raises SettingError.
    """
    try:
        with deferred():
            return config.checked(name, raw)
    except Unread as unread:
        return unread.name


def _fits_with_others(slug: str, config: type[Config]) -> bool:
    """Whether the values in the link for one config are allowed together."""
    given = {name: st.query_params.get(f"{slug}-{name}") for name in config.model_fields}
    try:
        with deferred():
            config(**{name: value for name, value in given.items() if value is not None})
    except (SettingError, Unread):
        return False
    return True


def _reset(slug: str, items: tuple[Setting, ...]) -> None:
    for declared in items:
        st.session_state[f"{slug}-{declared.name}"] = declared.default
    st.session_state.pop(f"{slug}-complaints", None)


def check_link(
    slug: str, *configs: type[Config], choices: Mapping[str, Collection[str] | None] | None = None
) -> None:
    """Name, one sentence each, the values in the link that cannot be used; their
    defaults are used. To be called before any control.

    `choices` are names whose values are known only to the page, each with what it may
    hold, or None where that hangs on another control.

    Reads the raw link, because binding drops bad values silently. The sentences stay
    until they are closed.
    """
    complaints: dict[str, str] = st.session_state.setdefault(f"{slug}-complaints", {})
    names = {declared.name: config for config in (*configs, Seeds) for declared in config.settings()}
    renamed = dict(RENAMED)
    for config in configs:
        renamed |= config.renamed
    for old, new in renamed.items():
        if (value := st.query_params.get(f"{slug}-{old}")) is not None:
            del st.query_params[f"{slug}-{old}"]
            with suppress(SettingError):  # reported below
                own = names[new].checked(new, value) if new in names else value
                st.session_state.setdefault(f"{slug}-{new}", own)
            st.query_params[f"{slug}-{new}"] = value
            complaints[f"{slug}-{old}"] = f"{old} is now called {new}; the link's value, {value}, is used."
    for key, raw in list(st.query_params.items()):
        name = key.removeprefix(f"{slug}-")
        if name == key or name == "act" or f"{slug}-" not in key:
            continue
        if name in (choices or {}):
            allowed = choices[name]
            wrong = [
                value
                for value in st.query_params.get_all(key)
                if allowed is not None and value not in allowed
            ]
            if wrong:
                near = difflib.get_close_matches(wrong[0], allowed, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else "."
                complaints[key] = (
                    f"{name} must be one of the {len(allowed)} offered, got {wrong[0]!r:.60}{hint} The"
                    " default is used."
                )
            continue
        try:
            value = _checked(names.get(name, configs[0]), name, raw)
            typed = st.session_state.get(key) == value  # into the control, which holds it already
            if isinstance(value, str) and raw != choice_label(value) and not typed:
                del st.query_params[key]  # written as on the command line: the control's own value
                st.session_state[key] = value
        except SettingError as error:
            if name in names and _fits_with_others(slug, names[name]):
                continue  # a rule between settings, which the link's other values keep
            complaints[key] = f"{error} " + (
                f"The default, {names[name].setting(name).default}, is used."
                if name in names
                else "It is left out."
            )
    if complaints:
        st.warning(
            "  \n".join(complaints.values()),
            icon=":material/link_off:",
            title="Some of the link has changed or cannot be used",
        )
        st.button("Dismiss", key=f"{slug}-dismiss", on_click=complaints.clear, type="tertiary")
