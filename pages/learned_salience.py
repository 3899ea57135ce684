"""Learned saliency: class and mask of an image in one forward pass, beside Grad-CAM; two
tasks in every order; what many seeds show.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config, setting
from mlcv_explore.data import gallery
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.learned_salience import frames_per_stage, inference, mask_network, tables
from mlcv_explore.ideas.learned_salience import idea as subject
from mlcv_explore.metrics import overlap
from mlcv_explore.models.checkpoints import CheckpointError, Classifier
from mlcv_explore.saliency import SaliencyError, SaliencySettings, measures
from mlcv_explore.ui import attribution_panel, attributions, figures, inputs, page, settings, theme
from mlcv_explore.ui.attribution_panel import TILE, Explained, Request

SLUG = subject.slug
DESCRIPTIONS = {
    "scenes/0": "Silhouette in a scene; trained with uninformative tags.",
    "scenes-tagged/0": "Silhouette in a scene; in training, tags named it.",
    "scenes-texture/0": "Texture of the object in a scene.",
    "cifar10/0": "Ten classes of photographs, 32 × 32 pixels.",
}
BARS = ("faithful", "mass", "tag", "leak", "found")
NOTICE = "Mean and 95 % interval over seeds."
GRADCAM = Request(("gradcam",), SaliencySettings())
EXAMPLE_AREA = 8.0


class LearnedSalienceView(Config):
    """Settings of the demo; nothing of it is trained."""

    wanted: float = setting(
        4.0, "Area weight", low=0.5, high=20, step=0.5, help="The larger, the smaller the mask."
    )
    fill: str = setting(
        "mean", "Fill", choices=("mean", "blur", "noise"), help="What replaces the hidden pixels."
    )
    overlay: float = setting(0.7, "Overlay opacity", low=0, high=1, step=0.05, help="At 1 the map alone.")
    share: float = setting(
        0.5, "Box threshold", low=0.1, high=0.9, step=0.05, help="Share of a map's maximum."
    )


@contextmanager
def errors() -> Iterator[None]:
    """A network that cannot be loaded or explained is reported in a sentence."""
    try:
        yield
    except (CheckpointError, SaliencyError) as error:
        st.error(str(error), icon=":material/error:")


def play() -> None:
    """An image, a classifier, and the mask that its mask network predicts."""
    panel, controls = st.columns([3, 1], gap="medium")
    with controls:
        names = inference.offered()
        image = inputs.choose_image(SLUG, names)
        if image is None:
            return
        default = inputs.default_model(st.session_state[f"{SLUG}-source"], names)
        bound = {"key": f"{SLUG}-model", "bind": "query-params", "filter_mode": None}
        name = st.selectbox("Classifier", names, names.index(default), **bound)
        st.caption(DESCRIPTIONS[name])
    with panel, errors():
        explain(image, name)


@st.fragment
def explain(image: inputs.ChosenImage, name: str) -> None:
    """Maps, boxes, and the classifier's prediction for kept part and complement."""
    panel, view = st.container(), {}
    columns = st.columns(4, gap="medium", vertical_alignment="bottom")
    for column, item in zip(columns, LearnedSalienceView.settings(), strict=True):
        with column:
            view[item.name] = settings.control(SLUG, item)
    with panel, errors():
        network, model = inference.load(name)
        explained = attribution_panel.explain(image, model)
        result = inference.explain(network, model, explained.array, view["wanted"])
        gradcam = GRADCAM.maps(explained)["gradcam"].values
        show_maps(explained, result, gradcam, view)
        if result.uninformative:
            text = f"The mask covers {result.mask.mean():.1%} of the image: it is uninformative."
            st.info(text, icon=":material/info:")


def show_maps(
    explained: Explained, result: inference.Explanation, gradcam: np.ndarray, view: dict[str, object]
) -> None:
    """Eight tiles at most: image, maps, boxes, kept part and complement."""
    image, model = explained.image, explained.model
    tiles = iter([*st.columns(4, gap="small"), *st.columns(4, gap="small")])
    with next(tiles):
        st.image(images.png(image.enlarged), width="stretch", alt=image.description)
        st.caption(f"{explained.prediction()}  \n{image.description}.")
    show_map(next(tiles), explained, "gated", result.mask, view, top=1.0, key=f"{SLUG}-mask")
    for title, mask in (("Kept", result.mask), ("Complement", 1 - result.mask)):
        with next(tiles):
            show_part(model, title, inference.keep(explained.array, mask, view["fill"]), result.target)
    show_map(next(tiles), explained, "gradcam", gradcam, view)
    show_map(next(tiles), explained, "gates", result.gates, view)
    with next(tiles):
        show_boxes(image, model.side, result.mask, gradcam, view["share"])
    if image.truth is not None:
        show_map(next(tiles), explained, "truth", inference.segment(explained.array), view, top=1.0)


def show_map(
    place: object,
    explained: Explained,
    arm: str,
    values: np.ndarray,
    view: dict[str, object],
    **shown: object,
) -> None:
    """A map with its mean and, in a scene, its shares on object and tag."""
    truth, facts = explained.image.truth, [f"mean {values.mean():.0%}"]
    if truth is not None:
        facts.append(f"{measures.mass_in_mask(values, truth.mask):.0%} on the object")
        facts.append(f"{measures.mass_on_tag(values, truth.tag_box):.0%} on the tag")
    title = "Segmenter, trained with masks" if arm == "truth" else subject.label(arm)
    with place:
        attribution_panel.tile(explained.image, title, values, False, facts, overlay=view["overlay"], **shown)


def show_part(model: Classifier, title: str, array: np.ndarray, target: int) -> None:
    """A part of the image as the classifier's input, and the predicted class's probability."""
    probability = attribution_panel.predict(model, inputs.array_digest(array), array)[target]
    pixels = np.rint(255 * array.transpose(1, 2, 0)).astype(np.uint8)
    text = f"{title}: {model.classes[target]} {probability:.0%}"
    drawn = images.png(images.enlarged(pixels, max(1, TILE // model.side)))
    st.image(drawn, width="stretch", alt=text, output_format="PNG")
    st.progress(float(probability), text)


def show_boxes(
    image: inputs.ChosenImage, side: int, mask: np.ndarray, gradcam: np.ndarray, threshold: float
) -> None:
    """The bounding boxes of the largest components of mask and Grad-CAM."""
    width, height = image.size_within(TILE)
    boxes = {"other": overlap.largest_box(gradcam, threshold), "idea": overlap.largest_box(mask, threshold)}
    scale = np.array([height, width, height, width]) / side
    under = attributions.resized(image.digest, image.pixels, (width, height))
    drawn = images.boxed(under, {role: box * scale for role, box in boxes.items()}, theme.palette())
    alt = "Bounding boxes: learned mask blue, Grad-CAM orange"
    st.image(images.png(drawn), width="stretch", alt=alt, output_format="PNG")
    shared = float(overlap.box_overlap(boxes["idea"], boxes["other"]))
    st.caption(f"**Boxes**  \nBlue: learned mask, orange: Grad-CAM; IoU {shared:.0%}")


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """Curves of each experiment's latest training, then bars and maps of what is measured."""
    command, palette = figures.command(SLUG, config, seeds), theme.palette()
    limits = {"palette": palette, "x_domain": (0.0, 1.0), "y_domain": (0.0, 1.0), "y_format": ".0%"}
    columns = st.columns(3, gap="small")
    for place, ((experiment, title), curves) in enumerate(tables.training_curves(config, film).items()):
        lines = {subject.label(arm): Line(subject.arm(arm).role, values) for arm, values in curves.items()}
        done = next(iter(curves.values())).shape[1]
        chart = charts.curves(
            np.arange(1, done + 1) / frames_per_stage(config), lines, "share of the updates", title, **limits
        )
        key = f"{SLUG}-{experiment}-{title.replace(' ', '-')}"
        with columns[place % 3]:
            figures.figure(chart, key, "Validation images.", command=command, config=config, moving=True)
    columns = st.columns(2, gap="medium")
    for place, name in enumerate(BARS):
        if values := tables.measured(config, film[-1], name):
            with columns[place % 2]:
                figures.bars(subject, values, name, f"{SLUG}-run-{name}", NOTICE)
    if maps := tables.shown_maps(film[-1]):
        drawn = [images.attribution(values, False, palette, 127.0) for values in maps.values()]
        sheet = np.stack([film[-1].scene[0].transpose(1, 2, 0), *drawn])
        text = f"One scene, seed {seeds[0]}; {', '.join(map(subject.label, maps))}."
        st.image(images.png(images.grid(sheet, 6, scale=3, gap=8, paper=palette.background)), alt=text)
        st.caption(text)


def example() -> None:
    """One scene explained by a classifier that uses the object and one that reads the tag."""
    with errors():
        for name in ("scenes/0", "scenes-tagged/0"):
            network, model = inference.load(name)
            explained = attribution_panel.explain(inputs.scene(1), model)
            mask = inference.explain(network, model, explained.array, EXAMPLE_AREA).mask
            left, right = st.columns(2, gap="small")
            show_map(left, explained, "gated", mask, {"overlay": 0.7}, top=1.0)
            show_map(right, explained, "gradcam", GRADCAM.maps(explained)["gradcam"].values, {"overlay": 0.7})
            st.caption(f"Classifier: {DESCRIPTIONS[name]}")


def answer(table: Table) -> None:
    """Every measure of every arm in the six cells of the study."""
    for cell, title in tables.CELLS.items():
        st.subheader(title, anchor=False)
        figures.results(subject, tables.cell_columns(table, cell), f"{SLUG}-{cell}")
    st.caption(
        "95 % intervals over seeds, not corrected for their number; exploratory. The order of tasks depends"
        " on the learning rate. At twice the rate classifiers often fail; there segmenting first gained 20.0"
        " points [2.4, 37.6] over classifying alone at equal encoder updates, n = 6."
    )


page.run(
    subject,
    play=play,
    draw=draw,
    answer=answer,
    example=example,
    formulas={
        "Loss of a mask": mask_network.mask_loss,
        "One forward pass": mask_network.MaskNetwork.forward,
        "Baseline: a mask optimised for each image": mask_network.optimise_masks,
    },
    views=(LearnedSalienceView,),
    choices={
        "source": inputs.SOURCES,
        "photograph": tuple(gallery.photographs()),
        "scene": tuple(str(number) for number in range(1, inputs.SCENES + 1)),
        "model": inference.offered(),
    },
    seeds=3,
)
