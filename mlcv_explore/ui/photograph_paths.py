"""Two photographs mixed as features and as pixels: their controls, soft labels, places
on the map of the references, and the nearest references.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Line
from mlcv_explore.config import Config, Setting
from mlcv_explore.data import DataError
from mlcv_explore.ui import feature_map, figures, image_row, photograph_input, settings, theme

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from mlcv_explore.models.photograph_map import PhotographSpace
    from mlcv_explore.models.photograph_paths import Photograph, PhotographPaths

ENDS = ("first", "second")
DEFAULTS = ("cat", "rocket")  # of the gallery
SMALL = 64  # pixels of a neighbour
LABELS = (
    "From above: the mixed label (1 − s)·y₁ + s·y₂ at share s of the second photograph; a linear classifier's"
    " probabilities with features mixed; with pixels mixed."
)
ALONG = (
    "Half-way between 200 pairs of CIFAR-10 test photographs the mixed label's cross-entropy is 1.83 nats"
    " with features mixed, 2.47 with pixels: difference 0.64 [0.50, 0.79]."
)
NEAR = (
    "Class and distance; 1 is a CIFAR-10 test photograph's median distance to its nearest reference. Half-way"
    " between two of them it is 0.95 with features mixed, 0.92 with pixels."
)


def show_paths(
    slug: str, view: type[Config], load: "Callable[[], PhotographSpace]", columns: "Sequence[DeltaGenerator]"
) -> None:
    """The whole panel: photographs and blend in the first three columns, the share of the
    second photograph in the fourth. `view` has the settings share, first and second; the
    last two choose among test photographs.
    """
    from mlcv_explore.models.checkpoints import CheckpointError

    with columns[3]:
        share = settings.control(slug, view.setting("share"))
    with figures.reported(CheckpointError, DataError):
        _show(slug, load(), [view.setting(name) for name in ENDS], share, columns)


def _show(
    slug: str,
    space: "PhotographSpace",
    numbers: Sequence[Setting],
    share: float,
    columns: "Sequence[DeltaGenerator]",
) -> None:
    """Raises DataError and CheckpointError."""
    from mlcv_explore.models import photograph_paths

    chosen = []
    for column, number, default in zip(columns, numbers, DEFAULTS, strict=False):
        with column:
            title = f"{number.name.capitalize()} photograph"
            chosen.append(photograph_input.choose(slug, number, title, default))
    if None in chosen:
        columns[2].info("The mixture appears here once both are chosen.", icon=":material/image:")
        return
    ends = [photograph_paths.Photograph(image.pixels, word) for image, word in chosen]
    key = tuple((image.digest, word) for image, word in chosen)
    mixed, place = _mixed(key, space, *ends), photograph_paths.at(share)
    for column, note in zip(columns, mixed.notes, strict=False):
        column.caption(note)
    with columns[2]:
        text = (
            "Pixels mixed, as the network reads them: middle squares at 32 × 32, like CIFAR-10, enlarged to"
            " 128 × 128. Mixed features have no image."
        )
        image_row.show([mixed.blends[place] / 255], text, "The two photographs blended")
    bars, plane = st.columns([2, 3], gap="large")
    with bars:
        st.markdown("##### Mixed label and soft labels")
        chart = charts.shares(space.classes, photograph_paths.shares(mixed, place), theme.palette())
        figures.figure(chart, f"{slug}-photo-labels", LABELS, moving=True)
    with plane:
        st.markdown("##### Map of CIFAR-10's features")
        drawn = space.drawn
        trails = {photograph_paths.WAYS[way]: path.places for way, path in mixed.paths.items()}
        feature_map.show_points(
            space.fitted.coordinates[drawn],
            space.references.labels[drawn],
            space.classes,
            photograph_paths.examples(mixed, place),
            f"{slug}-photo-map",
            photograph_paths.map_notice(space),
            trails.pop("idea"),
            trails,
        )
        _along(slug, space, mixed, share)
    _neighbours(slug, space, mixed, place)


def _along(slug: str, space: "PhotographSpace", mixed: "PhotographPaths", share: float) -> None:
    """The probability of the second photograph's class over the share."""
    from mlcv_explore.models import photograph_paths

    lines = {label: Line(*line) for label, line in photograph_paths.curves(mixed).items()}
    about = {"palette": theme.palette(), "y_domain": (0.0, 1.0), "marks": {"now": share}, "y_format": ".0%"}
    title = f"probability of {space.classes[mixed.labels[1]]}"
    chart = charts.curves(photograph_paths.SHARES, lines, "share of the second photograph", title, **about)
    figures.figure(chart, f"{slug}-photo-along", ALONG, moving=True)


def _neighbours(slug: str, space: "PhotographSpace", mixed: "PhotographPaths", place: int) -> None:
    """The nearest references of both mixtures, with thumbnails where CIFAR-10 is here."""
    from mlcv_explore.models import photograph_paths

    st.markdown("##### Nearest CIFAR-10 photographs")
    figures.intervals(photograph_paths.neighbours(space, mixed, place), f"{slug}-photo-near", NEAR)
    if photograph_input.originals_present() and st.toggle(
        "Show them", key=f"{slug}-photo-thumbnails", bind="query-params"
    ):
        with figures.reported(DataError):
            photographs = photograph_input.originals().train
            rows = space.references.rows_in(photographs)
            for column, (way, path) in zip(st.columns(2), mixed.paths.items(), strict=True):
                with column:
                    images = photographs.images[rows[path.nearest[place]]] / 255
                    image_row.show(images, f"{way.capitalize()}.", size=SMALL)


@st.cache_resource(max_entries=64, show_spinner=False)
def _mixed(
    key: tuple[tuple[str, str | None], ...],
    _space: "PhotographSpace",
    _first: "Photograph",
    _second: "Photograph",
) -> "PhotographPaths":
    """Both ways from one photograph to another, computed once."""
    from mlcv_explore.models import photograph_paths

    return photograph_paths.mix(_space, _first, _second)


def path_links() -> dict[str, tuple[str, ...] | None]:
    """The names in the link of the controls that `show_paths` makes, and what each may be."""
    return {**photograph_input.link_names(*ENDS), "photo-thumbnails": None}
