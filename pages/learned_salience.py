"""Learned saliency: one forward pass gives class and mask; runs; what many seeds show."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, ClassVar

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config, setting
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.learned_salience import frames_per_stage, pretrain, tables
from mlcv_explore.ideas.learned_salience import idea as subject
from mlcv_explore.metrics import overlap
from mlcv_explore.models import available_models, segmenter
from mlcv_explore.models.checkpoints import CheckpointError, Classifier
from mlcv_explore.saliency import SaliencyError, SaliencySettings, learned_masks, mask_network, measures
from mlcv_explore.saliency.learned_masks import Explanation
from mlcv_explore.saliency.photograph_masker import mask as photograph_mask
from mlcv_explore.ui import attribution_panel, attributions, evidence, figures, inputs, page, settings, theme
from mlcv_explore.ui.attribution_tests import input_image
from mlcv_explore.ui.explained import Explained, Request, explain_image, predict
from mlcv_explore.ui.saliency_composites import show_learned

SLUG, WIDTH = subject.slug, 156  # of a tile: four stand beside the controls, two on a phone
DESCRIPTIONS = {
    "scenes/0": "Silhouette in a scene; trained with uninformative tags.",
    "scenes-tagged/0": "Silhouette in a scene; in training, tags named it.",
    "scenes-texture/0": "Texture of the object in a scene.",
    "cifar10/0": "Ten classes of photographs, 32 × 32 pixels.",
    inputs.IMAGENET: "1,000 classes. Its mask is a weak one: what it keeps seldom carries the class.",
}
GRADCAM, DEEPLIFT = (Request((method,), SaliencySettings()) for method in ("gradcam", "deeplift"))


class LearnedSalienceView(Config):
    """Settings of the demo; nothing of it is trained."""

    renamed: ClassVar[Mapping[str, str]] = {"wanted": "area_weight"}
    area_weight: float = setting(2.0, "Area weight", low=0.5, high=20, step=0.5, help="Larger: smaller mask.")
    fill: str = setting("noise", "Fill", choices=("mean", "blur", "noise"), help="Of the hidden pixels.")
    overlay: float = setting(0.7, "Overlay opacity", low=0, high=1, step=0.05, help="At 1 the map alone.")
    share: float = setting(0.5, "Box threshold", low=0.1, high=0.9, step=0.05, help="Share of the maximum.")


def play() -> None:
    """An image, a classifier, and the mask that its mask network predicts."""
    results, controls = st.columns([3, 1], gap="medium")
    with controls:
        *usual, _ = names = tuple(DESCRIPTIONS)
        image = inputs.choose_image(SLUG, usual)
        if image is None:
            return
        index = names.index(inputs.default_model(st.session_state[f"{SLUG}-source"], usual))
        bound = {"key": f"{SLUG}-model", "bind": "query-params", "filter_mode": None}
        name = st.selectbox("Classifier", names, index, **bound)
        st.caption(DESCRIPTIONS[name])
    with results:
        explain(image, name)


@st.fragment
def explain(image: inputs.ChosenImage, name: str) -> None:
    """Image, mask, kept part and complement; then Grad-CAM, gates, boxes and segmenter."""
    results, values = st.container(), {}
    columns = st.columns(4, gap="medium", vertical_alignment="bottom")
    for column, option in zip(columns, LearnedSalienceView.settings(), strict=True):
        with column:
            values[option.name] = settings.control(SLUG, option)
    view = LearnedSalienceView(**values)
    with results, figures.reported(CheckpointError, SaliencyError):
        explained, result = explanation(image, name, view.area_weight)
        model = explained.model
        gradcam = GRADCAM.maps(explained)["gradcam"].values
        sheet = st.container(horizontal=True, gap="small")
        tiles = iter(lambda: sheet.container(width=WIDTH), None)
        with next(tiles):
            st.image(images.png(image.enlarged), width="stretch", alt=image.description)
            st.caption(f"{explained.prediction()}  \n{image.description}.")
        show_map(next(tiles), explained, "learned", result.mask, view.overlay, top=1.0, key=f"{SLUG}-mask")
        for title, mask in (("Kept", result.mask), ("Complement", 1 - result.mask)):
            with next(tiles):
                show_part(model, title, learned_masks.keep(explained.array, mask, view.fill), result.target)
        show_map(next(tiles), explained, "gradcam", gradcam, view.overlay)
        if result.gates.any():
            show_map(next(tiles), explained, "gates", result.gates, view.overlay)
        with next(tiles):
            boxes = [overlap.largest_box(values, view.share) for values in (result.mask, gradcam)]
            show_boxes(image, model.side, boxes)
        if image.truth is not None:
            segmented = segmenter.segment(f"{pretrain.SEGMENTER}/0", explained.array)
            show_map(next(tiles), explained, "truth", segmented, view.overlay, top=1.0)
        if result.uninformative:
            st.info(f"The mask covers {result.mask.mean():.1%} of the image: it is uninformative.")


def explanation(image: inputs.ChosenImage, name: str, area: float) -> tuple[Explained, Explanation]:
    """What a classifier predicts, and its mask; the ImageNet network's has one area weight."""
    if name == inputs.IMAGENET:
        explained = explain_image(image, available_models.load(name))
        mask = photograph_mask(explained.array)
        return explained, Explanation(explained.probabilities, mask, np.zeros_like(mask))
    network, model = learned_masks.load(name)
    explained = explain_image(image, model)
    return explained, learned_masks.explain(network, model, explained.array, area)


def show_map(
    place: Any, explained: Explained, arm: str, values: np.ndarray, overlay: float, **shown: Any
) -> None:
    """A map with its mean and, in a scene, its shares on object and tag."""
    truth, facts = explained.image.truth, [f"mean {values.mean():.1%}"]
    if truth is not None:
        facts.append(f"{measures.mass_in_mask(values, truth.mask):.0%} on the object")
        facts.append(f"{measures.mass_on_tag(values, truth.tag_box):.0%} on the tag")
    title = "Segmenter, trained with masks" if arm == "truth" else subject.label(arm)
    with place:
        attribution_panel.tile(explained.image, title, values, False, facts, overlay=overlay, **shown)


def show_part(model: Classifier, title: str, array: np.ndarray, target: int) -> None:
    """A part of the image as the classifier's input, and the predicted class's probability."""
    probability = float(predict(model, inputs.array_digest(array), array)[target])
    text = f"{title}: {model.classes[target]} {probability:.0%}"
    input_image(array, text)
    st.progress(probability, text)


def show_boxes(image: inputs.ChosenImage, side: int, boxes: list[np.ndarray]) -> None:
    """Boxes of mask and Grad-CAM, in pixels of the classifier's input, on the image."""
    width, height = image.size_within(attribution_panel.TILE)
    under = attributions.resized(image.digest, image.pixels, (width, height))
    learned, gradcam = (box * np.array([height, width, height, width]) / side for box in boxes)
    drawn = images.boxed(under, {"other": gradcam, "idea": learned}, theme.palette())
    text = "Blue: learned mask, orange: Grad-CAM"
    st.image(images.png(drawn), width="stretch", alt=f"Bounding boxes. {text}", output_format="PNG")
    st.caption(f"**Boxes**  \n{text}; IoU {overlap.box_overlap(*boxes):.0%}")


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """Curves of each experiment's latest training, then bars and maps of what is measured."""
    command, palette, last = figures.command(SLUG, config, seeds), theme.palette(), film[-1]
    limits = {"palette": palette, "x_domain": (0.0, 1.0), "y_domain": (0.0, 1.0), "y_format": ".0%"}
    columns = cycle(st.columns(3, gap="small"))
    for (experiment, title), curves in tables.training_curves(config, film).items():
        lines = {subject.label(arm): Line(subject.arm(arm).role, values) for arm, values in curves.items()}
        x = np.arange(1, next(iter(curves.values())).shape[1] + 1) / frames_per_stage(config)
        chart = charts.curves(x, lines, "share of the updates", title, **limits)
        key = f"{SLUG}-{experiment}-{title.replace(' ', '-')}"
        with next(columns):
            figures.figure(chart, key, "Validation images.", command=command, config=config, moving=True)
    columns = cycle(st.columns(2))
    for name in ("mass", "pointing", "faithful", "tag", "leak", "swapped"):
        if values := tables.measured(config, film, name):
            with next(columns):
                figures.bars(subject, values, name, f"{SLUG}-run-{name}", "Mean over seeds, 95 % interval.")
    if maps := tables.shown_maps(last):
        drawn = [images.attribution(values, False, palette, 127.0) for values in maps.values()]
        shown = np.stack([last.scene[0].transpose(1, 2, 0), *drawn])
        sheet = images.grid(shown, 6, scale=3, gap=8, paper=palette.background)
        text = f"One scene, seed {seeds[0]}; {', '.join(map(subject.label, maps))}."
        st.image(images.png(sheet), caption=text, alt=text)


def example() -> None:
    """One scene explained by a classifier that uses the object and one that reads the tag."""
    with figures.reported(CheckpointError, SaliencyError):
        for name in ("scenes/0", "scenes-tagged/0"):
            explained, result = explanation(inputs.scene(1), name, 8.0)
            left, right = st.columns(2, gap="small")
            show_map(left, explained, "learned", result.mask, 0.7, top=1.0)
            show_map(right, explained, "deeplift", DEEPLIFT.maps(explained)["deeplift"].values, 0.7)
            st.caption(f"Classifier: {DESCRIPTIONS[name]}")


def answer(table: Table) -> None:
    """The learned mask against every map; every measure of every arm in every cell."""
    note = "Mean differences, 95 % intervals, not corrected; exploratory."
    figures.intervals(tables.leads(table, subject.labels()), f"{SLUG}-leads", note)
    for study in (study for study in tables.CELLS if evidence.study(SLUG, study) is not None):
        rows = evidence.table(SLUG, study)
        for cell, title in tables.CELLS[study].items():
            st.subheader(title, anchor=False)
            figures.results(subject, rows.columns(cell), f"{SLUG}-{study}-{cell}", rows.split(cell))
        st.subheader(f"Order of two tasks: {tables.ON[study]}", anchor=False)
        columns = tables.orders(rows, subject.labels())
        figures.intervals(columns, f"{SLUG}-{study}-orders", "Means, 95 % intervals; higher is better.")
    show_learned(subject.label("smoothgrad_squared"))


acts = {"play": play, "draw": draw, "answer": answer, "example": example}
choices = {**inputs.image_links(), "model": tuple(DESCRIPTIONS)}
formulas = {"Loss of a mask": mask_network.mask_loss}
page.run(subject, **acts, formulas=formulas, views=(LearnedSalienceView,), choices=choices, seeds=3)
