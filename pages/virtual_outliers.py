"""Virtual outliers: one image layer by layer, beside a layer's virtual outliers; runs; answers."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Bar, images
from mlcv_explore.config import Config
from mlcv_explore.data.dataset import DataError, to_bytes
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.virtual_outliers import ALONE, ARMS, DETECTION, inference
from mlcv_explore.ideas.virtual_outliers import idea as subject
from mlcv_explore.ideas.virtual_outliers.claims import VOS
from mlcv_explore.ideas.virtual_outliers.inference import VirtualOutliersView
from mlcv_explore.metrics import neighbours, outlier_detection
from mlcv_explore.metrics.outlier_detection import DEPTHS
from mlcv_explore.models import layer_features, layered_demo, virtual_outliers
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.models.layered_demo import Reading
from mlcv_explore.ui import evidence, figures, inputs, page, settings, theme
from mlcv_explore.ui.small_image_input import buttons, choose_digit, digit_links

SLUG = subject.slug
NETWORKS = ("Photographs", "Digits")


def play() -> None:
    """An image, the network's four layers, and virtual outliers of one of them."""
    results, controls = st.columns([3, 1], gap="medium")
    with figures.reported(CheckpointError, DataError):
        with controls:
            name = buttons(f"{SLUG}-network", "Network", NETWORKS).lower()
            image = chosen_photograph() if name == "photographs" else chosen_digit()
        if image is not None:
            with results:
                layers(name, image, inputs.array_digest(image))


def chosen_photograph() -> np.ndarray | None:
    """A photograph as the network reads it."""
    image = inputs.choose_image(SLUG, (inputs.IMAGENET,))
    if image is None:
        return None
    small = layer_features.small(image.pixels)
    st.image(images.png(images.enlarged(np.moveaxis(small, 0, -1), 5)), alt=image.description)
    st.caption(f"{image.description}. Read at 32 × 32 pixels, as CIFAR-10.")
    return small


def chosen_digit() -> np.ndarray | None:
    """An example of the test, a drawing or a file as a digit."""
    pictures = {name: to_bytes(image[0]) for name, image in inference.examples().items()}
    name, values = choose_digit(SLUG, 8, pictures)
    if name is not None:
        return inference.examples()[name]
    return None if values is None else values[None].astype(np.float32)


@st.cache_data(max_entries=256, show_spinner=False)
def read(name: str, digest: str, _image: np.ndarray) -> Reading:
    """An image at every layer, by network and content."""
    return inference.read(name, _image)


@st.fragment
def layers(name: str, image: np.ndarray, digest: str) -> None:
    """The ladder of layers, and the features of one."""
    with figures.reported(CheckpointError, DataError):
        reading, known = read(name, digest, image), inference.load(name)
        st.markdown(
            f"**{known.classes[reading.prediction]}** ({100 * reading.probability:.0f} %) · prediction depth"
            f" **{reading.depth}** of 4 · all layers: more real than {reading.combined:.0f} % of real images"
        )
        left, right = st.columns(2, gap="medium")
        with left:
            ladder(reading, known.classes)
            st.caption(f"Left out of training: {' and '.join(known.left_out)}.")
        with right:
            cloud(name, reading, known.classes)


def ladder(reading: Reading, classes: Sequence[str]) -> None:
    """Every layer's vote and log-odds, those from the prediction depth on marked."""
    nan, bars = float("nan"), []
    for layer, (vote, share) in enumerate(zip(reading.votes, reading.shares, strict=True)):
        role = "idea" if layer >= reading.depth else "control"
        label = f"Layer {layer + 1}: {classes[vote]}, {round(30 * share)} of 30"
        bars.append(Bar(label, round(float(reading.percentiles[layer]) / 100, 3), nan, nan, role))
    title = "Share of real images scored lower here"
    chart = charts.bars_with_intervals(bars, title, theme.palette(), x_format=".0%", x_domain=(0.0, 1.0))
    last = "At the last layer it is not" if reading.depth == len(bars) else "Blue: from here on it is"
    notice = f"Names: the commonest class of the 30 nearest training images. {last} the prediction."
    figures.figure(chart, f"{SLUG}-ladder", notice, moving=True)
    pairs = (("negative energy", reading.energies), ("log-odds of being real", reading.odds))
    texts = (f"{name} {', '.join(f'{value:.1f}' for value in values)}" for name, values in pairs)
    st.caption(f"Layers 1 to 4: {'; '.join(texts)}.".replace(" -", " −"))


def cloud(name: str, reading: Reading, classes: Sequence[str]) -> None:
    """A layer's real features, its virtual outliers, and the image."""
    columns, values = st.columns(2, gap="medium"), {}
    for column, option in zip(columns, VirtualOutliersView.settings(), strict=True):
        with column:
            values[option.name] = settings.control(SLUG, option)
    view = VirtualOutliersView(**values)
    found = layered_demo.cloud(inference.load(name), reading, view.layer - 1, 10**view.exponent)
    places = np.concatenate([found.real, found.virtual])
    labels = [*(classes[label] for label in found.labels), *["virtual"] * len(found.virtual)]
    own = ["baseline" if label == reading.prediction else "" for label in found.labels]
    here = {"this image": (*map(float, found.image), "idea")}
    groups = [*own, *["control"] * len(found.virtual)]
    chart = charts.points(places, labels, groups, theme.palette(), here=here)
    prediction = classes[reading.prediction]
    notice = (
        f"Two principal components. Crosses: virtual outliers, {found.radius:.2f} times as far out as an"
        f" average draw; but {100 * found.less_likely:.1f} % of real features lie farther still. Circles:"
        f" {prediction}. Dots: other classes. Covariance shrunk by {100 * found.shrinkage:.1f} %."
    )
    figures.figure(chart, f"{SLUG}-map", notice, moving=True)


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """Every score so far, and by prediction depth."""
    columns, command = subject.metrics(config, film), figures.command(SLUG, config, seeds)
    values = {arm: columns[f"{arm}_auroc"] for arm in ARMS[:-2] if columns[f"{arm}_auroc"].any()}
    if not values:
        st.info("Bars begin when the first network is trained.", icon=":material/hourglass_empty:")
        return
    notice = "50 %: no better than chance. 95 % intervals."
    split = subject.split_sizes(config)
    figures.bars(subject, values, "auroc", f"{SLUG}-run", notice, split=split, command=command)
    rates = [[100 * columns[f"{arm}_{name}"].mean() for name in ("near", "far", *DEPTHS)] for arm in values]
    heads = ("near", "far", "0 or 1", "2 to 4")
    titles = ("score", "outliers; prediction depth", "AUROC, %")
    about = {"signed": False, "value_format": ".0f"}
    names = list(map(subject.label, values))
    chart = charts.heat_map(np.array(rates), names, heads, titles, theme.palette(), **about)
    figures.figure(chart, f"{SLUG}-run-depth", "Mean over seeds.", command=command, config=config)


def example() -> None:
    """A photograph of a class that is learned, and one of none."""
    with figures.reported(CheckpointError, DataError):
        known, columns = inference.load("photographs"), st.columns(2, gap="medium")
        for column, name in zip(columns, ("cat", "coffee"), strict=True):
            small = layer_features.small(inputs.gallery_image(name).pixels)
            reading = read("photographs", inputs.array_digest(small), small)
            text = f"{known.classes[reading.prediction]} ({100 * reading.probability:.0f} %)"
            with column:
                st.image(images.png(images.enlarged(np.moveaxis(small, 0, -1), 4)), width=130, alt=text)
                st.caption(
                    f"{name.capitalize()}: {text}, prediction depth {reading.depth}; more real than"
                    f" {reading.combined:.0f} % of real images."
                )


def answer(table: Table) -> None:
    """Every score on both kinds of data at its weight; weights; single layers."""
    for study, title, weight in (("live", "Digits", "3.0"), ("photographs", "Photographs", "10.0")):
        if evidence.study(SLUG, study) is None:
            continue
        own, note = (evidence.table(SLUG, study), f"Weight 0.1 at one layer, {weight} at several.")
        rows = [{"claim": "weights", "weight": "0.1" if arm in ALONE else weight, "arm": arm} for arm in ARMS]
        figures.measures(subject, own, f"{title}: score", rows[:-2], (*DETECTION, "accuracy"), note)
        pair, head = (("several", "vos_last"), "auroc"), f"{title}: one weight for both"
        figures.comparison(subject, own, "weights", ("weight",), *pair, head)
        rows, names = [row for row in rows if row["arm"] in VOS], ("near", "far", *DEPTHS, "rank", "share")
        figures.measures(subject, own, f"{title}: layer", rows, names, "Outliers' weight 0.1.")


page.run(
    subject,
    play=play,
    draw=draw,
    answer=answer,
    example=example,
    formulas={
        "Virtual outliers": virtual_outliers.least_likely,
        "Their distance": virtual_outliers.radii,
        "Prediction depth": neighbours.prediction_depth,
        "Weights of the layers": outlier_detection.fitted_weights,
    },
    views=(VirtualOutliersView,),
    choices={"network": NETWORKS, **inputs.image_links(), **digit_links(inference.EXAMPLES)},
    seeds=5,
)
