"""Layer attacks: a perturbation at one layer; runs; what many networks and photographs show."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Bar, Line, images
from mlcv_explore.config import Config, choice_label, setting
from mlcv_explore.data.dataset import to_bytes
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.layer_attacks import ATTACKED, AXES, L2, curves
from mlcv_explore.ideas.layer_attacks import idea as subject
from mlcv_explore.ideas.layer_attacks.claims import MEANINGS, NETWORKS, SITES
from mlcv_explore.models import attacked_image, attacks, available_models, robust_training
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.ui import evidence, figures, inputs, page, settings, theme
from mlcv_explore.ui.explained import Explained, explain_image

SLUG = subject.slug
MODELS = ("cifar10/0", inputs.IMAGENET)
ENOUGH = 0.03  # from which on the ImageNet network gives up its first class at most layers
VALUES = {"False": "all", "True": "reachable"}
ROLES = dict(zip(MEANINGS, ("other", "idea", "variant", "baseline", "control"), strict=True))


class LayerAttacksView(Config):
    """Settings of the demo; nothing of it is trained."""

    layer: int = setting(5, "Layer", low=0, high=10, step=1, help="0: the image; the last: the logits.")
    size: float = setting(
        0.1, "Size", low=0, high=0.5, step=0.01, help="Share of the spread of the layer's own activations."
    )
    view_norm: str = setting("l2", "Norm", choices=("l2", "linf"))


def play() -> None:
    """An image, a network, a layer, and noise of a size there."""
    results, controls = st.columns([3, 1], gap="medium")
    with controls:
        image = inputs.choose_image(SLUG, MODELS)
        if image is None:
            return
        bound = {"key": f"{SLUG}-model", "bind": "query-params", "filter_mode": None}
        name = st.selectbox("Network", (*MODELS, *available_models.own_names()), **bound)
        st.image(images.png(image.enlarged), alt=image.description, width=image.size_within(160)[0])
    with results:
        explain(image, name)


@st.fragment
def explain(image: inputs.ChosenImage, name: str) -> None:
    """The layer before and after, the prediction step by step, and all layers at once."""
    values = {}
    for column, option in zip(st.columns(3, gap="medium"), LayerAttacksView.settings(), strict=True):
        with column:
            values[option.name] = settings.control(SLUG, option)
    with figures.reported(CheckpointError, ValueError):
        view, explained = LayerAttacksView(**values), explain_image(image, available_models.load(name))
        names = attacked_image.opened(explained.model).names
        site = min(view.layer, len(names) - 1)
        asked = explained.model.key, explained.digest, view.size, view.view_norm
        result = attacked(*asked, site, explained)
        tiles(explained, result, site, names[site])
        if name == inputs.IMAGENET and view.size > ENOUGH:
            st.caption("This network gives way to far less: try 0.01 to 0.02.")
        if view.layer > site:
            st.caption(f"This network's last layer is {site}, the logits.")
        title = f"probability of {explained.model.classes[result.first]}"
        left, right = st.columns(2, gap="medium")
        with left:
            steps(result, title)
        with right:
            every_layer(
                [(each, attacked(*asked, place, explained)) for place, each in enumerate(names)], title
            )


@st.cache_data(max_entries=512, show_spinner=False)
def attacked(
    key: str, digest: str, size: float, norm: str, site: int, _explained: Explained
) -> attacked_image.Attacked:
    """One attack, by network, image and settings: what the layers' bars show is not computed twice."""
    return attacked_image.attacked(_explained.model, _explained.array, site, size, norm)


def tiles(explained: Explained, result: attacked_image.Attacked, site: int, layer: str) -> None:
    """What the layer puts out: before, under attack, and the change."""
    sheet, best = st.container(horizontal=True, gap="small"), result.predictions(explained.model.classes)
    top = max(1e-6, *(float(np.abs(values).max()) for values in result.maps[:2]))
    texts = (*best[:2], f"Random noise of this size: {best[2]}")
    change = "Change × 5" if result.maps[0].ndim == 3 else "Change"
    titles = (f"{layer.capitalize()}: before", "Attacked", change)
    for title, values, text in zip(titles, result.maps, texts, strict=True):
        if values.ndim == 3:
            picture = to_bytes(np.moveaxis(values if title != change else 0.5 + 5 * values, 0, -1))
        elif title == change:
            picture = images.signed(values, theme.palette())
        else:
            picture = images.amounts(np.abs(values), theme.palette(), 0.0, top)
        if len(picture) == 1:  # a vector, as a band
            picture = np.repeat(picture, max(8, picture.shape[1] // 3), axis=0)
        with sheet.container(width=165):
            st.image(images.png(picture), width="stretch", alt=f"{title}, {text}")
            st.markdown(f"**{title}**")
            st.caption(text)
    if result.maps[0].ndim == 2 and len(result.maps[0]) > 1:
        nearest = attacked_image.nearest_photograph(explained.model, result.maps[1], site)
        st.caption(f"Maps: mean over channels. Nearest to the attacked one in the gallery: “{nearest}”.")


def steps(result: attacked_image.Attacked, title: str) -> None:
    """The first class's probability over the gradient steps."""
    x, noisy = np.arange(len(result.confidence)), np.full((1, len(result.confidence)), result.of_first[2])
    lines = {"attack": Line("idea", result.confidence[None]), "random noise": Line("control", noisy)}
    limits = {"x_domain": (x[0] - 0.3, x[-1] + 0.3), "y_domain": (0.0, 1.0), "y_format": ".0%"}
    chart = charts.curves(x, lines, "gradient step", title, palette=theme.palette(), **limits)
    figures.figure(chart, f"{SLUG}-steps", "Attack and random noise of one size.", moving=True)


def every_layer(results: Sequence[tuple[str, attacked_image.Attacked]], title: str) -> None:
    """The first class's probability when the same share of its spread is spent at each layer."""
    nan = float("nan")
    bars = [Bar(label, round(result.of_first[1], 3), nan, nan, "idea") for label, result in results]
    title = f"{title}, attacked there"
    chart = charts.bars_with_intervals(bars, title, theme.palette(), x_format=".0%", x_domain=(0.0, 1.0))
    figures.figure(chart, f"{SLUG}-layers", "The same share of each layer's own spread.", moving=True)


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """The smallest perturbation over depth; of robust training accuracies under attack."""
    options = {"command": figures.command(SLUG, config, seeds), "config": config}
    shown = {name: values for name, values in curves(film).items() if values.all()}
    rows = [name for name in NETWORKS if AXES.values(film, [name], ATTACKED).any()]
    if not shown and not rows:
        st.info("Curves begin when every layer has been attacked.", icon=":material/layers:")
    if shown:
        lines = {subject.label(name): Line(ROLES[name], values) for name, values in shown.items()}
        titles = "layer: 0 the input, 4 the logits", "ε₅₀ over that of the input"
        chart = charts.curves(np.arange(5.0), lines, *titles, palette=theme.palette(), y_format=".3g")
        notice = "Above 1: the layer needs more than the input. Bands: 95 % over seeds."
        figures.figure(chart, f"{SLUG}-run", notice, **options)
    if rows:
        accuracy, names = 100 * AXES.values(film, rows, ATTACKED).mean(0), list(map(subject.label, rows))
        labels, titles = ["none", *SITES[:4]], ("network", "attacked layer", "accuracy, %")
        about = {"signed": False, "value_format": ".0f"}
        chart = charts.heat_map(accuracy, names, labels, titles, theme.palette(), **about)
        notice = "Rows: how the network was trained; columns: where the attack is. Mean over seeds."
        figures.figure(chart, f"{SLUG}-run-trained", notice, **options)


def example() -> None:
    """A photograph whose pixels are attacked, and what the same size does at a late block."""
    explained = explain_image(inputs.gallery_image("cat"), available_models.load(MODELS[0]))
    first, late = (
        attacked_image.attacked(explained.model, explained.array, site, 0.1, "l2") for site in (0, 6)
    )
    texts = [" becomes ".join(each.predictions(explained.model.classes)[:2]) for each in (first, late)]
    text = f"Attack of a tenth of a layer's spread: on pixels {texts[0]}, in block 6 {texts[1]}."
    st.image(images.png(to_bytes(np.moveaxis(first.maps[1], 0, -1))), width=180, alt=text)
    st.caption(text)


def answer(table: Table) -> None:
    """ε₅₀ of every layer in five meanings on both kinds of data; robust training."""
    note = "ε₅₀, median over correct images; by definition noise of this size changes almost none."
    meanings = (*MEANINGS, "noise", "dimension")
    heads = [subject.measure(name).label.removeprefix("Smallest perturbation, ") for name in meanings]
    for name, title in (("live", "Digits, small networks"), ("photographs", "Photographs, ImageNet network")):
        if evidence.study(SLUG, name) is not None:
            rows = [{"claim": "depth", "arm": site, **(L2 if name == "live" else {})} for site in SITES]
            figures.measures(subject, evidence.table(SLUG, name), title, rows, meanings, note, heads)
    pair = ("whitened", "flat"), "trend"
    names, called = ("norm", "reachable"), lambda norm, few: f"{choice_label(norm)}, {VALUES[few]} values"
    figures.comparison(subject, table, "depth", names, *pair, "Whitened: norm, values", called=called)
    note = "Attacks of the plain network's ε₅₀, in standard deviations of each channel."
    rows = [{"claim": "training", "arm": name} for name in NETWORKS]
    figures.measures(subject, table, "Digits: network", rows, ATTACKED, note)


page.run(
    subject,
    play=play,
    draw=draw,
    answer=answer,
    example=example,
    formulas={"Smallest perturbation": attacks.smallest, "Units of a layer": robust_training.channel_scale},
    views=(LayerAttacksView,),
    choices={**inputs.image_links(), "model": (*MODELS, *available_models.own_names())},
    seeds=5,
)
