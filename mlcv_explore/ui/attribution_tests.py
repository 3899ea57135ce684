"""Tests of attribution maps that are shown: pixels removed, weights randomised, scores."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import streamlit as st

from mlcv_explore.charts import images
from mlcv_explore.ui import attributions, figures, inputs, settings, slow_maps, theme
from mlcv_explore.ui.attribution_panel import TILE
from mlcv_explore.ui.explained import Explained, Request, predict
from mlcv_explore.ui.map_view import MapView

INSENSITIVE = 0.9  # rank correlation with the trained network's map, above which a map hardly changed
SCORES = {  # attribute of a score → head of its column
    "deletion": "Deletion",
    "insertion": "Insertion",
    "infidelity": "Infidelity",
    "max_sensitivity": "Sensitivity",
    "moved": "Model dependence",
    "completeness_gap": "Completeness error",
    "on_object": "On the object",
    "on_tag": "On the tag",
    "points_at_object": "Maximum on the object",
}
NOTE = (
    "One image, so no interval and no ranking of methods; see Answer. Deletion and insertion: area under the"
    " probability curve; low and high are faithful. Infidelity: squared error of the logit change that the"
    " map predicts under noise, at its best scale. Sensitivity: largest relative change of the map when"
    " pixels move by up to 2 %. Model dependence: 1 − |rank correlation| with the map of a fully randomised"
    " network. Completeness error: of methods that do not guarantee completeness."
)


def input_image(array: np.ndarray, alt: str) -> None:
    """A model's input (3, h, w) in [0, 1] as it is, pixel by pixel."""
    pixels = np.rint(255 * array.transpose(1, 2, 0)).astype(np.uint8)
    enlarged = images.enlarged(pixels, max(1, TILE // array.shape[-1]))
    st.image(images.png(enlarged), width="stretch", alt=alt, output_format="PNG")


@st.fragment
def show_deletion(
    explained: Explained, maps: Mapping[str, np.ndarray], labels: Mapping[str, str], slug: str
) -> None:
    """The image without a share of its most salient pixels by one of the maps, and the
    probability while pixels are deleted and inserted.
    """
    from mlcv_explore import charts
    from mlcv_explore.charts import Line

    pick, fills, slide = st.columns([3, 3, 4], gap="small")
    key, bound = f"{slug}-by", {"bind": "query-params", "format_func": labels.get}
    method = pick.selectbox("By the map of", list(maps), key=key, **bound)
    with fills:
        fill = settings.control(slug, MapView.setting("fill"))
    with slide:
        share = settings.control(slug, MapView.setting("removed"))
    model, array, index, values = explained.model, explained.array, explained.first_class, maps[method]
    digest = inputs.array_digest(values)
    curves = attributions.deletion_insertion(
        explained.digest, model.key, index, digest, fill, model.network, array, values
    )
    changed = attributions.without_top(explained.digest, digest, share, fill, array, values)
    probability = float(predict(model, inputs.array_digest(changed), changed)[index])
    left, right = st.columns([1, 2], gap="medium")
    with left:
        input_image(changed, f"Model input without {share:.0%} of its pixels")
        st.progress(probability, f"**{model.classes[index]}** {probability:.1%}")
        st.caption(f"Model input without {share:.0%} of its pixels.")
    with right:
        lines = {"deletion": Line("idea", curves[0]), "insertion": Line("variant", curves[1])}
        chart = charts.curves(
            np.linspace(0, 1, curves.shape[1]),
            lines,
            "share of pixels",
            f"probability of {model.classes[index]}",
            palette=theme.palette(),
            x_domain=(0.0, 1.0),
            y_domain=(0.0, 1.0),
            y_format=".0%",
            marks={f"{share:.0%}": share},
        )
        notice = "A faithful map falls fast under deletion and rises fast under insertion. One image."
        figures.figure(chart, f"{slug}-deletion", notice, moving=True)


def show_similarity(
    explained: Sequence[Explained], request: Request, labels: Mapping[str, str], key: str, randomised: int
) -> None:
    """Which maps of a network with this many layers randomised are still those of the
    trained one, and so do not depend on what these layers learned. Raises
    SaliencyError.
    """
    from mlcv_explore.saliency import measures

    rows: dict[str, list] = {"Image": [], "Map": [], "Signed": [], "Absolute": []}
    for example in explained:
        trained, other = (request.maps(example, layers) for layers in (0, randomised))
        methods = [name for name in trained if name in other]  # the others are refused
        if not methods:
            return
        pairs = [np.stack([maps[name].values for name in methods]) for maps in (trained, other)]
        signed, absolute = (measures.similarity(*pairs, kind).rank for kind in (True, False))
        rows["Image"] += [example.image.name] * len(signed)
        rows["Map"] += [labels[method] for method in methods]
        rows["Signed"] += [round(float(value), 2) for value in signed]
        rows["Absolute"] += [round(float(value), 2) for value in absolute]
    largest: dict[str, float] = {}  # the smaller one over images decides
    for name, signed, absolute in zip(rows["Map"], rows["Signed"], rows["Absolute"], strict=True):
        largest[name] = min(largest.get(name, 1.0), max(abs(signed), abs(absolute)))
    insensitive = [name for name, value in largest.items() if value > INSENSITIVE]
    if insensitive:
        st.warning(
            f"Hardly changed with {randomised} layers randomised: {', '.join(insensitive)}. A map unchanged"
            " by randomisation does not depend on the learned weights.",
            icon=":material/filter_none:",
        )
    else:
        st.info(
            f"With {randomised} layers randomised every map changes: no rank correlation with the trained"
            f" network's map above {INSENSITIVE:g}.",
            icon=":material/shuffle:",
        )
    if len(explained) == 1:
        del rows["Image"]
    with st.expander("Rank correlations with the maps of the trained network", key=key):
        st.dataframe(
            rows,
            height="content",
            hide_index=True,
            alt="Rank correlation of each map with that of the trained network",
        )


@st.fragment
def show_scores(
    explained: Sequence[Explained], request: Request, labels: Mapping[str, str], slug: str
) -> None:
    """Every measure of every map of the network as trained, computed when it is opened,
    and its download.
    """
    key = f"{slug}-scores"
    folded = st.expander("Scores of these maps", key=key, on_change="rerun", bind="query-params")
    if folded.open:
        with folded, st.spinner("Explaining nearby images and a randomised network …"):
            _scores(explained, request, labels, f"{key}-table")


def _scores(explained: Sequence[Explained], request: Request, labels: Mapping[str, str], key: str) -> None:
    from mlcv_explore.saliency.scores import as_csv

    scored, works = {}, []
    for example in explained:
        slow = request.scores_of_slow(example)
        pending = request.missing_scores(example)
        works.append(
            slow_maps.Work(
                request.background(example, kind="scores"),
                request.identity(example, "scores"),
                pending,
                partial(request.missing_scores, example),
                partial(request.compute_score, example),
                request.failed(example, kind="scores"),
            )
        )
        computed = {score.method: score for score in request.scores(example)} | slow
        scored[example.image.name] = [computed[name] for name in request.methods if name in computed]
    pairs = [(name, score) for name, scores in scored.items() for score in scores]
    table = {"Image": [name for name, _ in pairs]} if len(explained) > 1 else {}
    table |= {"Map": [labels[score.method] for _, score in pairs]}
    for attribute, head in SCORES.items():
        values = [getattr(score, attribute) for _, score in pairs]
        if any(value is not None for value in values):
            table[head] = values
    columns = {head: st.column_config.NumberColumn(format="%.3g") for head in SCORES.values()}
    st.dataframe(table, height="content", hide_index=True, alt="Scores of these maps", column_config=columns)
    file = lambda: as_csv(scored), f"{explained[0].image.name}-scores.csv", "text/csv"
    figures.caption(NOTE, key, {"Scores (CSV)": file})
    slow_maps.show(works, labels, key, key)
