"""Underspecification: equally accurate networks on one corrupted image and on a test; runs; answers."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config
from mlcv_explore.data import uploads
from mlcv_explore.data.corruptions import KINDS, corrupted
from mlcv_explore.data.dataset import to_bytes
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.underspecification import ARMS, MEASURES, SOURCES, inference
from mlcv_explore.ideas.underspecification import idea as subject
from mlcv_explore.ideas.underspecification.claims import LEARNED
from mlcv_explore.ideas.underspecification.inference import UnderspecificationView
from mlcv_explore.metrics import between_networks
from mlcv_explore.metrics.between_networks import Spread
from mlcv_explore.models import test_time_adaptation
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.models.corrupted_demo import CorruptedDemo
from mlcv_explore.ui import evidence, figures, inputs, page, settings, theme
from mlcv_explore.ui.small_image_input import buttons, draw_digit, upload_digit

SLUG = subject.slug
NETWORKS = ("Digits", "Photographs")
ORIGINS = ("Examples", "Draw", "Upload digit")
NORMALISED = ("Training", "Test batch")
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
    """A photograph as it is corrupted, uint8 (3, 32, 32)."""
    image = inputs.choose_image(SLUG, (inputs.IMAGENET,))
    return None if image is None else to_bytes(uploads.resized_to_square(image.pixels, 32))


def chosen_digit() -> np.ndarray | None:
    """An example of the test, a drawing or a file as a digit, uint8 (1, 8, 8)."""
    origin = buttons(f"{SLUG}-origin", "Digit", ORIGINS)
    if origin == "Examples":
        pictures = {each: inference.example(each)[0] for each in inference.EXAMPLES}
        return inference.example(inputs.example_strip(f"{SLUG}-example", pictures))
    key = f"{SLUG}-{origin.split()[0].lower()}"
    values = draw_digit(key) if origin == "Draw" else upload_digit(key, 8)
    return None if values is None else to_bytes(values[None])


@st.cache_data(max_entries=256, show_spinner=False)
def fan(name: str, digest: str, kind: str, adapted: bool, _image: np.ndarray) -> np.ndarray:
    """An image at all severities, by content."""
    return inference.load(name).fan(_image, kind, adapted)


@st.fragment
def networks(name: str, image: np.ndarray, digest: str) -> None:
    """Controls, the corrupted image, a fan of predictions a pipeline, and the test images."""
    columns, values = st.columns([1, 2, 2, 2], gap="small"), {}
    for column, option in zip(columns[1:], UnderspecificationView.settings(), strict=False):
        with column:
            values[option.name] = settings.control(SLUG, option)
    with columns[3]:
        about = "Test batch: networks adapt to a batch of equally corrupted test images."
        normalised = buttons(f"{SLUG}-normalised", "Normalise by", NORMALISED, help=about)
    with figures.reported(CheckpointError):
        view, demo = UnderspecificationView(**values), inference.load(name)
        adapted = normalised != NORMALISED[0] and not demo.photographs
        if demo.photographs and normalised != NORMALISED[0]:
            st.caption("Of photographs no test batch ships at every severity: training images' are used.")
        shown = np.moveaxis(corrupted(image[None], view.corruption, view.strength)[0], 0, -1).squeeze()
        text = f"{view.corruption.capitalize()}, severity {view.strength}"
        columns[0].image(images.png(images.enlarged(shown, 96 // len(shown))), alt=text)
        found = fan(name, digest, view.corruption, adapted, image)
        for place, column in enumerate(st.columns(3, gap="small")):
            with column:
                lines(demo, found, place, view.strength)
        spreads(demo, demo.spreads(view.corruption, view.strength, adapted), view)


def lines(demo: CorruptedDemo, found: np.ndarray, place: int, severity: int) -> None:
    """Twelve networks of a pipeline: how probable the class of the clean image stays."""
    pipeline, own = demo.groups[place], demo.of(found, place)
    label = np.bincount(found[:, 0].argmax(1)).argmax()
    votes = np.bincount(own[:, severity].argmax(1), minlength=len(demo.classes))
    order = [each for each in votes.argsort()[::-1][:4] if votes[each]]
    texts = [f"{votes[each]} predict {demo.classes[each]}" for each in order]
    st.markdown(f"**{subject.label(pipeline)}**  \n{', '.join(texts)}")
    drawn = {"mean": Line(subject.arm(pipeline).role, own[:, :, label])}
    limits = {"y_domain": (0.0, 1.0), "y_format": ".0%", "marks": {"": float(severity)}, "seeds": True}
    title = f"probability of {demo.classes[label]}"
    chart = charts.curves(np.arange(6.0), drawn, "severity", title, palette=theme.palette(), **limits)
    figures.figure(chart, f"{SLUG}-fan-{place}", "Thin lines: single networks.", moving=True)


def spreads(demo: CorruptedDemo, found: Sequence[Spread], view: UnderspecificationView) -> None:
    """Where a pipeline's networks disagree among the test images."""
    severity = 5 * bool(view.strength) if demo.photographs else view.strength
    about = f"{view.corruption}, severity {severity}" if severity else "clean"
    st.markdown(f"**{len(demo.truth)} test images, {about}**")
    for column, pipeline, each in zip(st.columns(3, gap="small"), demo.groups, found, strict=True):
        cells = between_networks.sorted_by_class(each.outvoted, demo.truth)
        picture = images.enlarged(images.amounts(cells, theme.palette(), 0.0, 1.0), 8)
        text = f"{each.disagreement:.0%} of pairs disagree"
        with column:
            st.image(images.png(picture), width="stretch", alt=f"{subject.label(pipeline)}: {text}")
            excess = each.excess.text("points")
            st.caption(f"{text}; accuracy {each.accuracy:.0%}, excess SD {excess}, n = {each.excess.n}.")
    st.caption("Rows: classes; cells: images by how many networks are outvoted. Too few to rank: see Answer.")


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """The excess SD of every arm, and under each corruption."""
    columns, command = subject.metrics(config, film), figures.command(SLUG, config, seeds)
    last = film[-1].measured
    done = [arm for arm in ARMS if last[:, ARMS.index(arm), MEASURES.index("clean")].any()]
    if not done:
        st.info("Bars begin when the first networks are trained.", icon=":material/hourglass_empty:")
        return
    notice = "Beyond what finite test images cause; it may come out below 0. 95 % intervals over splits."
    values, split = {arm: columns[f"{arm}_excess"] for arm in done}, subject.split_sizes(config)
    figures.bars(subject, values, "excess", f"{SLUG}-run", notice, split=split, command=command)
    rows = [[100 * columns[f"{arm}_{kind}"].mean() for kind in KINDS] for arm in done]
    titles, names = ("networks", "corruption", "excess SD, points"), list(map(subject.label, done))
    chart = charts.heat_map(np.array(rows), names, KINDS, titles, theme.palette(), value_format=".1f")
    figures.figure(chart, f"{SLUG}-run-kinds", "Mean over splits.", command=command, config=config)


def example() -> None:
    """A digit in fog, and what twelve networks make of it."""
    with figures.reported(CheckpointError):
        demo, image = inference.load("digits"), inference.example("7")
        found = demo.of(fan("digits", inputs.array_digest(image), "fog", False, image), 1)
        votes = np.bincount(found[:, 4].argmax(1), minlength=10)
        texts = ", ".join(f"{votes[each]} predict {each}" for each in votes.argsort()[::-1] if votes[each])
        text = f"Twelve contrastive networks agree on this 7; in fog of severity 4 {texts}."
        shown = images.enlarged(corrupted(image[None], "fog", 4)[0, 0], 16)
        st.image(images.png(shown), width=128, alt=text)
        st.caption(text)


def answer(table: Table) -> None:
    """Every arm and corruption on both kinds of data; what each source of randomness does."""
    note, known = "Excess SD: beyond what finite test images cause.", map(subject.measure, SHOWN)
    heads = [each.label + " (points)" * (each.unit == "points") for each in known]
    for name, title, cell, given in (
        ("live", "Digits", "every", {"varied": "all", "train_size": 1000}),
        ("photographs", "Photographs' features", "every", {}),
        ("photographs", "Photographs at 32 pixels", "convolutional", {}),
    ):
        if evidence.study(SLUG, name) is None:
            continue
        rows = [{"claim": cell, "arm": arm, **given} for arm in ARMS]
        show = partial(figures.measures, subject, evidence.table(SLUG, name))
        show(f"{title}: networks", rows, SHOWN, note, heads)
        show(f"{title}: by corruption", rows[:5], KINDS, note, [f"{kind} (points)" for kind in KINDS])
    for source in SOURCES:
        rows = [{"claim": "every", "arm": arm, "varied": source, "train_size": 500} for arm in LEARNED]
        title, alone = f"Digits: only {source} varied", "500 training images; nothing else differs."
        figures.measures(subject, table, title, rows, SHOWN, alone, heads)


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
        **inputs.image_links(),
        "origin": ORIGINS,
        "example": tuple(inference.EXAMPLES),
        "normalised": NORMALISED,
    },
    seeds=5,
)
