"""Saliency: maps of a picture side by side, doubted and tested; a classifier that reads a tag; and what many models say."""

import shlex
import time
from dataclasses import replace

import numpy as np
import streamlit as st

from mlcv_explore import charts, idea, images, photographs
from mlcv_explore.charts import Bar, Line
from mlcv_explore.config import Config, setting
from mlcv_explore.film import series
from mlcv_explore.idea import Film
from mlcv_explore.ideas.saliency import ARMS, MEASURES, ROLES, SaliencyConfig
from mlcv_explore.ideas.saliency import evidence as tables
from mlcv_explore.ideas.saliency import idea as subject
from mlcv_explore.saliency import METHODS, SaliencyError, SaliencySettings, convolutions, doubt, layers
from mlcv_explore.saliency import methods as recipes
from mlcv_explore.ui import evidence, looking, page, settings, training

TILE = 220  # pixels of a map on the page, about
NAMES = {"truth": "True mask", "generated": "Generated", "single": "Best single input", "blind": "Sees the picture alone"}


class SaliencyView(Config):
    """How maps are shown; nothing of it changes them."""

    scale: str = setting("common", "Scale", choices=("common", "own"), help="Common: multiples of each map's own mean, one range for all. Own: raw.")
    signs: str = setting("signed", "Values", choices=("signed", "absolute"), help="Signed: orange speaks for the class, blue against it.")
    overlay: float = setting(1.0, "Map over photograph", low=0, high=1, step=0.05, help="At 1 the map alone.")
    randomised: int = setting(0, "Layers randomised, from the top", low=0, high=60, step=1, help="A map that does not care does not show the model.")
    removed: float = setting(0.0, "Share of pixels removed", low=0, high=1, step=0.05, help="The most salient ones first; they get the mean colour.")
    doubt: str = setting("none", "Doubt", choices=("none", "draws", "seeds"), help="Hatched where five draws, or the seeds of the model, disagree.")


card = idea.card("saliency")


def label(arm: str) -> str:
    """What a method is called."""
    return METHODS[arm].label if arm in METHODS else NAMES[arm]


def play() -> None:
    """A picture, what a model says of it, and what many maps say of that."""
    left, right = st.columns([1, 3], gap="medium")
    with left:
        chosen = looking.picture(card.slug)
        if chosen is None:
            return
        model = looking.model(card.slug)
        seen = looking.squeezed(chosen.digest, chosen.pixels, model.side)
        shares = looking.probabilities(chosen.digest, model.name, model.network, seen)
        st.image(images.png(chosen.pixels), width="stretch", alt=chosen.words)
        st.caption(f"{chosen.words}. The model sees it squeezed to {model.side} × {model.side} pixels.")
    with right:
        target = choose_target(model, shares)
        methods = st.multiselect("Methods", list(METHODS), list(looking.FIRST), key=f"{card.slug}-methods", bind="query-params", max_selections=15)
        if not methods:
            st.info("Choose a method; its map appears here.", icon=":material/grid_view:")
            return
        if isinstance(target, tuple) and target[0] == target[1]:
            st.info("A difference needs two classes.", icon=":material/compare_arrows:")
            return
        show_maps(chosen, model, seen, target, tuple(methods))


def choose_target(model: object, shares: np.ndarray) -> "int | tuple[int, int]":
    """The class to explain: the model's answer, another, or the difference of two."""
    order = np.argsort(shares)[::-1]
    named, minus = st.columns(2)
    answer = model.classes[order[0]]
    first = named.selectbox(
        "Explain",
        ["", *model.classes],
        key=f"{card.slug}-target",
        bind="query-params",
        format_func=lambda name: name or f"the model's answer: {answer}",
        filter_mode=None,
    )
    second = minus.selectbox(
        "Minus", ["", *model.classes], key=f"{card.slug}-minus", bind="query-params", format_func=lambda name: name or "nothing", filter_mode=None
    )
    st.caption("Says " + ", ".join(f"**{model.classes[index]}** {shares[index]:.1%}" for index in order[:4]) + ".")
    one = model.classes.index(first) if first in model.classes else int(order[0])
    return (one, model.classes.index(second)) if second in model.classes else one


@st.fragment
def show_maps(chosen: looking.Chosen, model: object, seen: np.ndarray, target: "int | tuple[int, int]", methods: tuple[str, ...]) -> None:
    """The maps side by side, under their controls."""
    started = time.perf_counter()
    with st.expander("How maps are made and shown"):
        making, showing = st.columns(2)
        with making:
            made = {item.name: settings.control(card.slug, item) for item in SaliencySettings.settings() if not item.more}
            named = list(convolutions(model.network))
            layer = st.selectbox("Layer of Grad-CAM", named, max(0, len(named) - 1), key=f"{card.slug}-layer", bind="query-params", filter_mode=None)
        with showing:
            view = {name: settings.control(card.slug, SaliencyView.setting(name)) for name in ("scale", "signs", "overlay", "doubt")}
    count = len(layers(model.network))
    randomised = settings.control(card.slug, replace(SaliencyView.setting("randomised"), high=count))
    how = SaliencySettings(**made)
    doubted = view["doubt"] != "none" and not randomised  # other draws and other seeds speak of the network as it was trained
    asked = (chosen.digest, model.name, target, methods, how.key())
    try:
        maps = looking.maps(*asked, layer, randomised, model.network, seen, how)
        opinions = looking.opinions(*asked, view["doubt"], seen, how) if doubted else {}
    except SaliencyError as error:
        st.error(str(error), icon=":material/error:")
        return
    values = {name: opinions[name].mean if name in opinions else maps[name].values for name in methods}
    shown = {name: doubt.density(each) if view["scale"] == "common" else each for name, each in values.items()}
    limit = max(float(np.quantile(np.abs(each), 0.99)) for each in shown.values()) or 1.0
    for row in range(0, len(methods), 3):
        for name, place in zip(methods[row : row + 3], st.columns(3), strict=False):
            with place:
                top = limit if view["scale"] == "common" else float(np.abs(shown[name]).max()) or 1.0
                unsure = ~opinions[name].stable if name in opinions else None
                show_map(chosen, maps[name], shown[name], top, view, unsure, command(model, target, name, how, layer))
    words = f"{randomised} of {count} layers randomised" if randomised else "all layers as trained"
    if view["doubt"] != "none" and randomised:
        words += "; doubt is shown with all layers as trained"
    if doubted:
        words += "; hatched where not stable" if opinions else "; nothing to compare: these methods draw nothing, or no two seeds agree"
    ranged = f"One scale: 0 to ±{limit:.1f} times a map's own mean" if view["scale"] == "common" else "Each map on its own scale"
    st.caption(f"{ranged}; {words}. :gray[Drawn in {1000 * (time.perf_counter() - started):.0f} ms.]")
    remove(chosen, model, seen, target, values)


def command(model: object, target: "int | tuple[int, int]", method: str, how: SaliencySettings, layer: str | None) -> str:
    """The one command that makes a map of the network as it was trained again."""
    named = ",".join(model.classes[index] for index in (target if isinstance(target, tuple) else (target,)))
    flags = {"model": model.name, "method": method, "target": named, **({"layer": layer} if method == "gradcam" and layer else {}), **how.changed()}
    words = [f"--{name} {shlex.quote(str(value))}" for name, value in flags.items()]
    return " ".join(["python -m mlcv_explore explain PICTURE", *words, "--out heat.png --raw map.npy"])


def show_map(chosen: looking.Chosen, found: object, values: np.ndarray, top: float, view: dict, unsure: np.ndarray | None, again: str) -> None:
    """One map with its cost and its downloads."""
    height, width = chosen.pixels.shape[:2]
    shape = (max(1, round(width * TILE / max(height, width))), max(1, round(height * TILE / max(height, width))))
    spread = photographs.spread(values, shape)
    palette = page.palette()
    drawn = images.attribution(spread, found.signed and view["signs"] == "signed", palette, top)
    if unsure is not None:
        drawn = images.hatched(drawn, photographs.spread(unsure.astype(np.float32), shape) > 0.5, palette)
    if view["overlay"] < 1:
        small = photographs.resized(chosen.pixels, shape)
        drawn = images.overlaid(small, drawn, view["overlay"] * np.clip(np.abs(spread) / top, 0, 1))
    st.image(images.png(drawn), width="stretch", alt=f"{label(found.method)}: where the answer rests", output_format="PNG")
    gap = f" · gap {found.checks['completeness_gap']:.1%}" if "completeness_gap" in found.checks else ""
    cost = f"{found.milliseconds:.0f} ms · {found.forwards + found.backwards} passes{gap}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        ends = f"{found.values.min():.2g} to {found.values.max():.2g}".replace("-", "−")
        st.caption(f"**{label(found.method)}** {ends} :gray[{cost}]", width="stretch")
        shelf = st.popover(
            "", icon=":material/download:", type="tertiary", key=f"{card.slug}-{found.method}-downloads", on_change="rerun", help="Download"
        )
        if shelf.open:
            with shelf:
                st.download_button(
                    "Heat map (PNG, the picture's size)",
                    lambda: images.png(images.attribution(photographs.spread(found.values, chosen.size), found.signed, palette)),
                    f"{chosen.name}-{found.method}.png",
                    "image/png",
                    key=f"{card.slug}-{found.method}-png",
                    on_click="ignore",
                )
                st.download_button(
                    "The map itself (NPY)",
                    lambda: looking.raw(found.values),
                    f"{chosen.name}-{found.method}.npy",
                    key=f"{card.slug}-{found.method}-npy",
                    on_click="ignore",
                )
                st.code(again, language="bash", wrap_lines=True)


def remove(chosen: looking.Chosen, model: object, seen: np.ndarray, target: object, values: dict[str, np.ndarray]) -> None:
    """Drag the most salient pixels away and see what the model then says."""
    st.markdown("##### Take the most salient pixels away")
    pick, bar = st.columns(2)
    method = pick.selectbox("By the map of", list(values), key=f"{card.slug}-by", bind="query-params", filter_mode=None)
    with bar:
        share = settings.control(card.slug, SaliencyView.setting("removed"))
    wanted = target[0] if isinstance(target, tuple) else target
    known = looking.curve(chosen.digest, model.name, wanted, looking.digest_of(values[method]), model.network, seen, values[method])
    changed = looking.without(seen, values[method], share)
    now = float(looking.probabilities(looking.digest_of(changed), model.name, model.network, changed)[wanted])
    picture, plot = st.columns([1, 2], gap="medium")
    with picture:
        scale = max(1, TILE // model.side)
        pixels = np.rint(255 * changed.transpose(1, 2, 0)).astype(np.uint8)
        st.image(images.png(images.enlarged(pixels, scale)), width="stretch", alt=f"The picture without {share:.0%} of its pixels")
        st.caption(f"As the model sees it, without {share:.0%} of its pixels: **{model.classes[wanted]} {now:.1%}**")
    with plot:
        x = np.linspace(0, 1, known.shape[1])
        lines = {"removed first": Line("idea", known[0]), "shown first": Line("variant", known[1])}
        options = {"x_domain": (0.0, 1.0), "y_domain": (0.0, 1.0), "y_format": ".0%", "marks": {f"{share:.0%}": share}}
        chart = charts.curves(x, lines, "share of pixels", f"probability of {model.classes[wanted]}", palette=page.palette(), **options)
        page.figure(chart, f"{card.slug}-deletion", "A faithful map falls fast when removed and rises fast when shown.", "One picture", moving=True)


def draw(film: Film, cost: str) -> None:
    """A run under way: does the classifier read the tag, and which maps say so?"""
    epochs = [frame for frame in film if not frame.measured.any()]
    lines = {"as trained": ("oracle", "accuracy"), "tags redrawn": ("idea", "swapped"), "given the tag's class": ("control", "follows")}
    drawn = {name: Line(role, series(epochs or film, field)) for name, (role, field) in lines.items()}
    x = series(epochs or film, "step").astype(float)
    limits = {"y_domain": (0.0, 1.0), "y_format": ".0%"}
    chart = charts.curves(x, drawn, "epoch", "share of fresh scenes", palette=page.palette(), **limits)
    page.figure(chart, f"{card.slug}-live-reading", "Where the last line is high, the classifier reads the tag.", cost, moving=True)
    last = film[-1]
    if not last.measured.any():
        return
    arms = [arm for arm in ARMS if last.measured[:, ARMS.index(arm)].any()]
    left, right = st.columns(2, gap="medium")
    for place, measure, title in ((left, "mass", "share of the map on the object"), (right, "tag", "share of the map on the tag")):
        with place:
            bars = [bar(arm, last.measured[:, ARMS.index(arm), MEASURES.index(measure)]) for arm in arms]
            chart = charts.bars_with_intervals(bars, title, page.palette(), x_format=".0%")
            page.figure(chart, f"{card.slug}-live-{measure}", "Means and 95 % intervals over models.", cost)
    first = next((frame for frame in film if frame.shown.any()), None)
    if first is not None:
        drawn_maps = [images.enlarged(images.signed(first.shown[0, ARMS.index(arm)].astype(float), page.palette(), 127.0), 3) for arm in arms]
        st.image(
            images.png(images.grid(np.stack(drawn_maps), 6, gap=8, paper=page.palette().background)),
            alt="The maps of one scene: " + ", ".join(label(arm) for arm in arms),
        )
        st.caption("One scene of the first seed, each map on its own scale, row by row: " + ", ".join(label(arm) for arm in arms) + ".")


def bar(arm: str, values: np.ndarray) -> Bar:
    """One arm's mean over models with its interval."""
    from mlcv_explore.statistics import t_interval

    interval = t_interval(values)
    return Bar(label(arm), interval.mean, interval.low, interval.high, ROLES[arm])


def answer(command: str) -> None:
    """Beyond the claims: every method by every measure, whether the three rankings agree, and the generated map."""
    rows = evidence.rows(card.slug)
    for rho in tables.rhos(rows):
        told = tables.classifiers(rows, rho)
        reads = "the tag tells nothing" if float(rho) == 0.25 else "the tag always names the class"
        st.markdown(f"##### Trained where {reads} (ρ = {float(rho):g})")
        accuracy, swapped, follows = (told[name] for name in ("accuracy", "swapped", "follows"))
        st.markdown(
            f"The classifiers are {percent(accuracy)} right, {percent(swapped)} once tags are redrawn, and give the tag's class to "
            f"{percent(follows)} of the scenes whose tag names another one (n = {accuracy.n} models)."
        )
        lines = tables.table(rows, rho)
        heads = {"mass": "on object", "tag": "on tag", "pointing": "points at object"} | {name: name for name in ("deletion", "insertion", "moved")}
        table = {"map": [label(line.arm) for line in lines]}
        table |= {head: [digits(line.measures[measure]) for line in lines] for measure, head in heads.items()}
        st.table(table, hide_index=True)
        st.caption(
            "Shares; 95 % intervals over models, not corrected for their number. Deletion: lower is more faithful; insertion: higher. "
            "Moved: 1 − rank correlation with the map of a network of random weights."
        )
        best = [f"{name}: {', '.join(map(label, arms))}" for name, arms in tables.leaders(rows, rho).items()]
        st.markdown(f"Highest on average of the twelve recipes, {'; '.join(best)}.")
        st.markdown("**Do the three rankings agree?** Kendall's τ between the rankings of the twelve recipes, mean over models, bootstrap intervals:")
        agreed = tables.agreement(rows, rho)
        st.table(
            {"between": [" and ".join(pair) for pair in agreed], "τ": [digits(interval) for interval in agreed.values()]},
            hide_index=True,
        )
    st.markdown("##### A map that is learned")
    made = tables.generation(rows)
    table = {"map": [label(arm) for arm in made]}
    table |= {f"mass on the {cause}, where that is the cause": [digits(found[cause]) for found in made.values()] for cause in ("object", "tag")}
    st.table(table, hide_index=True)
    st.caption(
        "Learned on classifiers that use the object. A map that stays on the object when the classifier reads the tag has learned the picture."
    )
    st.code(command, language="bash", wrap_lines=True)


def digits(interval: object) -> str:
    """A share or a correlation with its interval."""
    mean, low, high = (round(value, 2) + 0.0 for value in (interval.mean, interval.low, interval.high))  # no minus before a zero
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


def percent(interval: object) -> str:
    """A share with its interval, in per cent."""
    return f"**{100 * interval.mean:.0f} %** [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"


what_to_do = (
    "Pick a picture, or bring your own; compare the maps on one scale, then try to break them: randomise layers, draw again, take pixels away."
)
choices = {
    "source": looking.SOURCES,
    "photograph": tuple(photographs.gallery()),
    "methods": tuple(METHODS),
    "by": tuple(METHODS),
    "model": looking.models(),
    **dict.fromkeys(("target", "minus", "layer")),  # they hang on the model
}
act = page.intro(card, what_to_do, SaliencyConfig, SaliencyView, SaliencySettings, choices=choices)
if act == "Play":
    play()
elif act == "Train":
    picture, controls = st.columns([3, 1], gap="medium")
    with controls:
        config, seeds = settings.ask(card.slug, SaliencyConfig)
    with picture:
        training.live(card, subject, config, seeds, draw)
elif act == "Answer":
    if found := evidence.answer(card, subject):
        answer(found["command"])
else:
    st.markdown(card.text)
    page.done_before(subject.done_before)
    page.source({"Integrated gradients": recipes.integrated_gradients, "Grad-CAM": recipes.grad_cam, "RISE": recipes.rise})
    page.feedback(card)
