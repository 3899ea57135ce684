"""The recorded run and the shipped evidence: the Play act's film, the Answer act, and
what home tells of both.
"""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from mlcv_explore import idea, statistics
from mlcv_explore.experiment import film, fingerprint, runs
from mlcv_explore.idea import Card, Film, Idea
from mlcv_explore.ui import page, server

if TYPE_CHECKING:
    from mlcv_explore.charts import Difference


def study(slug: str, name: str = "live") -> dict[str, Any] | None:
    """The shipped evidence of an idea, or None when there is none yet."""
    path = idea.ASSETS / slug / f"{name}.json"
    return _study(path, path.stat().st_mtime) if path.exists() else None


def rows(slug: str, name: str = "live") -> list[dict[str, Any]]:
    """Its long table: claim, arm, settings, seed, measure, value."""
    path = idea.ASSETS / slug / f"{name}.csv"
    return _rows(slug, name, path.stat().st_mtime)


def recorded(slug: str) -> tuple[runs.Run, Film] | None:
    """The recorded default run with its film, or None when none was recorded."""
    path = idea.ASSETS / slug / "default" / "film.npz"
    return _recorded(slug, path.stat().st_mtime) if path.exists() else None


def thumbnail(slug: str, scheme: str) -> None:
    """The picture of the recorded run, drawn when it was recorded."""
    path = idea.ASSETS / slug / "default" / f"picture.{scheme}.svg"
    if path.exists():
        st.image(
            path.read_text(encoding="utf-8"),
            width="stretch",
            alt=f"Curves of the recorded run of {idea.card(slug).title}",
        )
    else:
        st.caption("A picture appears here once a run is recorded.")


def chip(slug: str) -> None:
    """The headline verdict with its n, in a word."""
    found = study(slug)
    if found is None:
        page.verdict_badge("not asked yet")
    else:
        headline = found["verdicts"][0]
        page.verdict_badge(
            headline["status"], f"{headline['status']} · n = {headline['estimate']['n']} seeds"
        )


def matrix() -> None:
    """Effect sizes of every claim with evidence, one row each; waits for the drawing
    library without holding the page.
    """
    if not any(study(card.slug) for card in idea.cards()):
        return
    st.subheader("Every claim, one zero line", anchor=False)
    st.markdown(
        "The mean paired difference over seeds with its interval. Each claim has its own margin; how it was"
        " decided stands on its page."
    )

    @st.fragment(run_every=None if server.ready() else 0.5, key="matrix")
    def draw() -> None:
        if not server.ready():
            st.skeleton(height=160)
            return
        from mlcv_explore import charts

        shown = [
            row
            for card in idea.cards()
            if (found := study(card.slug))
            for row in differences(card, found, card.title)
        ]
        page.figure(
            charts.effects(shown, page.palette()),
            "effects",
            "Right of zero the first arm is higher.",
            f"{len(shown)} contrasts",
        )

    draw()


def answer(card: Card, subject: Idea) -> dict[str, Any] | None:
    """Every claim with margin, verdict, interval, seeds and smallest detectable effect;
    returns the evidence, None when there is none.
    """
    found = study(card.slug)
    if found is None:
        st.info(
            f"No evidence ships yet. `python -m mlcv_explore evidence {card.slug}` makes it: minutes on two"
            " cores.",
            icon=":material/science:",
        )
        return None
    from mlcv_explore import charts

    claims = {claim.name: claim for claim in subject.claims}
    headline = found["verdicts"][0]
    with st.container(border=True):
        page.verdict_badge(headline["status"])
        st.markdown(f"#### {claims[headline['claim']].sentence}")
        st.markdown(headline["sentence"])
    page.figure(
        charts.paired_differences(differences(card, found), page.palette()),
        f"{card.slug}-differences",
        "Dots: means over seeds; bars: intervals; small dots: single seeds; shaded: the margin of each"
        " claim.",
        f"n = {headline['estimate']['n']} seeds · {found['seconds'] / 60:.0f} min beforehand",
        found["command"],
    )
    if found["fingerprint"] != fingerprint.fingerprint(card.slug):
        st.caption(
            f"Made by an earlier version ({found['fingerprint']}); the command beside the chart makes it"
            " again."
        )
    st.markdown("##### The claims, as they were written down before anything was run")
    for verdict in found["verdicts"]:
        with st.expander(f"**{verdict['status'].capitalize()}** — {claims[verdict['claim']].sentence}"):
            st.markdown(verdict["sentence"])
            st.caption(f"Estimand: {verdict['estimand']}.")
    return found


def differences(card: Card, found: dict[str, Any], prefix: str = "") -> "list[Difference]":
    """One row for every contrast of every claim, in the unit shown; named by the claim
    too, for several may ask about the same two arms.
    """
    from mlcv_explore.charts import Difference

    shown = []
    for verdict in found["verdicts"]:
        unit = verdict["unit"]
        for item in verdict["estimates"]:
            mean, low, high = (
                statistics.in_unit(item[name] if item[name] is not None else float("nan"), unit)
                for name in ("mean", "low", "high")
            )
            name = f"{prefix}{', ' * bool(prefix)}{verdict['claim']}: {' − '.join(item['contrast'])}".replace(
                "_", " "
            )
            per_seed = [statistics.in_unit(value, unit) for value in item["per_seed"] if value is not None]
            margin = statistics.in_unit(verdict["margin"], unit)
            shown.append(
                Difference(
                    name,
                    mean,
                    low,
                    high,
                    per_seed,
                    "idea",
                    item["status"],
                    margin,
                    verdict["direction"],
                    unit,
                )
            )
    return shown


@cache
def _study(path: Path, _: float) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@cache
def _rows(slug: str, name: str, _: float) -> list[dict[str, Any]]:
    from mlcv_explore.experiment import studies

    declared = next(item for item in idea.load(slug).studies if item.name == name)
    return studies.read(idea.ASSETS / slug, declared)


@cache
def _recorded(slug: str, _: float) -> tuple[runs.Run, Film] | None:
    run = runs.recorded(slug)
    return (run, film.unpack(runs.film_bytes(run), idea.load(slug).frame)) if run else None
