"""Underspecification: equally accurate networks on one corrupted image and on a test; runs; answers."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config
from mlcv_explore.data import gallery
from mlcv_explore.data.corruptions import KINDS, corrupted
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.underspecification import ARMS, MEASURES, SOURCES, inference
from mlcv_explore.ideas.underspecification import idea as subject
from mlcv_explore.ideas.underspecification.claims import ADAPTATIONS, LEARNED, ORDERS, PIPELINES, TRAINED
from mlcv_explore.ideas.underspecification.inference import Demo, Fan, Spread, UnderspecificationView
from mlcv_explore.metrics import between_networks
from mlcv_explore.models import test_time_adaptation
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.ui import evidence, figures, inputs, page, settings, theme
from mlcv_explore.ui.small_image_input import buttons, draw_digit, upload_digit

SLUG = subject.slug
NETWORKS = ("Digits", "Photographs")
ORIGINS = ("Examples", "Draw", "Upload digit")
NORMALISED = ("Training images", "Test batch")
SHOWN = ("clean", "corrupted", "iid", "excess", "logit", "disagreement", "line")


def play() -> None:
    """An image, a corruption, and what twelve networks of each pipeline predict."""
    results, controls = st.columns([3, 1], gap="medium")
    with figures.reported(CheckpointError):
        with controls:
            name = buttons(f"{SLUG}-data", "Networks for", NETWORKS).lower()
            image = chosen_photograph() if name == "photographs" else chosen_digit()
        if image is not None:
            with results:
                networks(name, image, inputs.array_digest(image))


def chosen_photograph() -> np.ndarray | None:
    """A photograph as it is corrupted, in 32 × 32 pixels."""
    image = inputs.choose_image(SLUG, (inputs.IMAGENET,))
    return None if image is None else inference.photograph(image.pixels)


def chosen_digit() -> np.ndarray | None:
    """An example of the test, a drawing or a file as a digit."""
    origin = buttons(f"{SLUG}-origin", "Digit", ORIGINS)
    if origin == "Examples":
        pictures = {each: inference.example(each)[0] for each in inference.EXAMPLES}
        return inference.example(inputs.example_strip(f"{SLUG}-example", pictures))
    key = f"{SLUG}-{origin.split()[0].lower()}"
    values = draw_digit(key) if origin == "Draw" else upload_digit(key, 8)
    return None if values is None else np.rint(values[None] * 255).astype(np.uint8)


@st.cache_data(max_entries=256, show_spinner=False)
def fan(name: str, digest: str, kind: str, adapted: bool, _image: np.ndarray) -> Fan:
    """An image at all severities, by content."""
    return inference.fan(name, _image, kind, adapted)


@st.fragment
def networks(name: str, image: np.ndarray, digest: str) -> None:
    """Controls, the corrupted image, a fan of predictions a pipeline, and the test images."""
    columns, values = st.columns(3, gap="medium"), {}
    for column, option in zip(columns, UnderspecificationView.settings(), strict=False):
        with column:
            values[option.name] = settings.control(SLUG, option)
    with columns[2]:
        about = "A network adapts to a batch of corrupted test images by its statistics."
        normalised = buttons(f"{SLUG}-normalised", "Normalised by", NORMALISED, help=about)
    with figures.reported(CheckpointError):
        view, demo = UnderspecificationView(**values), inference.load(name)
        adapted = normalised != NORMALISED[0] and name == "digits"
        if normalised != NORMALISED[0] and not adapted:
            st.caption(
                "Of photographs no batch ships at every severity: training images' statistics are used."
            )
        found = fan(name, digest, view.corruption, adapted, image)
        label, sheet = found.first(demo), st.columns([1, 2, 2, 2], gap="small")
        with sheet[0]:
            shown = np.moveaxis(found.images[view.strength], 0, -1).squeeze()
            scale = 128 // shown.shape[0]
            st.image(images.png(images.enlarged(shown, scale)), alt=f"{view.corruption}, {view.strength}")
            st.caption(f"{view.corruption.capitalize()}, severity {view.strength}.")
        for place, column in enumerate(sheet[1:]):
            with column:
                fan_chart(demo, found, place, label, view.strength)
        spread_maps(demo, inference.spreads(name, view.corruption, view.strength, adapted), name, view)


def fan_chart(demo: Demo, found: Fan, place: int, label: int, severity: int) -> None:
    """Twelve networks of a pipeline: how probable the class of the clean image stays."""
    pipeline, own = demo.pipelines[place], demo.of(found.probabilities, place)
    votes = np.bincount(own[:, severity].argmax(1), minlength=len(demo.classes))
    texts = [f"{votes[each]} × {demo.classes[each]}" for each in votes.argsort()[::-1][:3] if votes[each]]
    st.markdown(f"**{subject.label(pipeline)}**: {', '.join(texts)}")
    lines = {"mean": Line(subject.arm(pipeline).role, own[:, :, label])}
    limits = {"y_domain": (0.0, 1.0), "y_format": ".0%", "marks": {"": float(severity)}, "seeds": True}
    title = f"probability of {demo.classes[label]}"
    chart = charts.curves(np.arange(6.0), lines, "severity", title, palette=theme.palette(), **limits)
    figures.figure(chart, f"{SLUG}-fan-{place}", "A thin line a network.", moving=True)


def spread_maps(demo: Demo, found: Sequence[Spread], name: str, view: UnderspecificationView) -> None:
    """Where a pipeline's networks disagree among the test images."""
    severity = 5 * bool(view.strength) if name == "photographs" else view.strength
    st.markdown(
        f"**{len(demo.truth)} test images**, {view.corruption}, severity {severity}: one cell an image"
    )
    for column, pipeline, each in zip(st.columns([1, 2, 2, 2])[1:], demo.pipelines, found, strict=True):
        cells = inference.class_map(demo, each.cells)
        picture = images.enlarged(images.amounts(cells, theme.palette(), 0.0, 1.0), 8)
        text = f"{subject.label(pipeline)}: {each.disagreement:.0%} of pairs disagree"
        with column:
            st.image(images.png(picture), width="stretch", alt=text)
            st.caption(
                f"{text}; accuracy {each.accuracy:.0%}, excess SD {each.excess.text('points')}, n = 12."
            )
    st.caption("Rows: classes. Dark: many of the twelve are off the most frequent prediction.")


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """The excess SD of every arm, and under each corruption."""
    columns, command = subject.metrics(config, film), figures.command(SLUG, config, seeds)
    last = film[-1].measured
    done = [arm for arm in ARMS if last[:, ARMS.index(arm), MEASURES.index("clean")].any()]
    if not done:
        st.info("Bars begin when the first networks are trained.", icon=":material/hourglass_empty:")
        return
    notice = "Beyond what finite test images cause; it may come out below 0. 95 % intervals over splits."
    values = {arm: columns[f"{arm}_excess"] for arm in done}
    split = subject.split_sizes(config)
    figures.bars(subject, values, "excess", f"{SLUG}-run", notice, split=split, command=command)
    rows = [[100 * columns[f"{arm}_{kind}"].mean() for kind in KINDS] for arm in done]
    titles = ("networks", "corruption", "excess SD, points")
    names = list(map(subject.label, done))
    chart = charts.heat_map(np.array(rows), names, KINDS, titles, theme.palette(), value_format=".1f")
    figures.figure(chart, f"{SLUG}-run-kinds", "Mean over splits.", command=command, config=config)


def example() -> None:
    """A digit in fog, and what twelve networks make of it."""
    with figures.reported(CheckpointError):
        demo, image = inference.load("digits"), inference.example("7")
        found = fan("digits", inputs.array_digest(image), "fog", False, image)
        own = demo.of(found.probabilities, 1)[:, 4].argmax(1)
        votes = np.bincount(own, minlength=10)
        texts = ", ".join(f"{votes[each]} × {each}" for each in votes.argsort()[::-1] if votes[each])
        picture = images.enlarged(corrupted(image[None], "fog", 4)[0, 0], 16)
        text = f"All twelve contrastive networks call it 7; in fog of severity 4: {texts}."
        st.image(images.png(picture), width=128, alt=text)
        st.caption(text)


def answer(table: Table) -> None:
    """Every arm on both kinds of data; every corruption; what each source of randomness does."""
    adapted = [f"{pipeline}_{each}" for pipeline in PIPELINES for each in ADAPTATIONS]
    arms = (*TRAINED, "matched", *adapted, "oracle", *ORDERS)
    for name, title in (("live", "Digits"), ("photographs", "Photographs")):
        if evidence.study(SLUG, name) is None:
            continue
        own = evidence.table(SLUG, name)
        given = {"claim": "every", **({"varied": "all"} if name == "live" else {})}
        show = partial(figures.measures, subject, own)
        show(f"{title}: networks", [given | {"arm": arm} for arm in arms], SHOWN, "Excess SD in points.")
        heads = [kind.upper() if kind == "jpeg" else kind for kind in KINDS]
        rows = [given | {"arm": arm} for arm in (*TRAINED, "matched")]
        show(f"{title}: excess SD by corruption", rows, KINDS, "In points.", heads)
    for source in SOURCES:
        rows = [{"claim": "every", "varied": source, "arm": arm} for arm in LEARNED]
        note = "500 training images; nothing else differs between networks."
        figures.measures(subject, table, f"Digits: only {source} varied", rows, SHOWN, note)


page.run(
    subject,
    play=play,
    draw=draw,
    answer=answer,
    example=example,
    formulas={
        "Excess variance": between_networks.excess_variance,
        "Interval over networks": between_networks.bootstrap,
        "Agreement line": between_networks.agreement_line,
        "Tent": test_time_adaptation.tent,
    },
    views=(UnderspecificationView,),
    choices={
        "data": NETWORKS,
        "source": inputs.SOURCES,
        "photograph": tuple(gallery.photographs()),
        "scene": tuple(str(number) for number in range(1, inputs.SCENES + 1)),
        "origin": ORIGINS,
        "example": tuple(inference.EXAMPLES),
        "normalised": NORMALISED,
    },
    seeds=5,
)
