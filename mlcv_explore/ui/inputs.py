"""What the saliency page holds for its visitors: pictures, models, and maps that were
made already. Pixels stay in memory, never on disk.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from mlcv_explore.charts import images
from mlcv_explore.data import uploads
from mlcv_explore.ui import page

if TYPE_CHECKING:
    from mlcv_explore.data.scenes import Scenes
    from mlcv_explore.models.checkpoints import Classifier
    from mlcv_explore.saliency import Map, SaliencySettings, Target
    from mlcv_explore.saliency.faithfulness import Fill
    from mlcv_explore.saliency.scores import Score, Truth
    from mlcv_explore.saliency.uncertainty import AttributionStats

BROUGHT = "picture-brought"  # what a visitor dropped on the home page
KEPT = 200  # answers of one kind that are kept for all visitors
UPLOADS = ["jpg", "jpeg", "png", "webp", "gif"]
SOURCES = ("Gallery", "Scene", "Upload", "Camera")  # as the link names them
SCENES = 24  # generated ones to choose from
BESIDE_OWN = "a picture of my own"
LARGE = 256  # pixels a side: smaller pictures are shown enlarged
# the methods a page opens with
FIRST = ("gradcam", "integrated_gradients", "smoothgrad", "guided_backprop", "occlusion", "edges")


def digest_of(values: np.ndarray) -> str:
    """What identifies an array: what is kept under it can never be another array's."""
    return hashlib.blake2b(
        np.ascontiguousarray(values).tobytes() + f"{values.shape}{values.dtype}".encode(), digest_size=12
    ).hexdigest()


@dataclass(frozen=True)
class Chosen:
    """The picture a visitor looks at."""

    pixels: np.ndarray  # (h, w, 3) uint8, at most 1,024 pixels a side
    size: tuple[int, int]  # width and height of the picture as it came
    words: str  # what it is and whose
    name: str  # short, for file names
    truth: "Truth | None" = None  # where it is known

    @cached_property
    def digest(self) -> str:
        """What identifies the pixels."""
        return digest_of(self.pixels)

    def within(self, side: int) -> tuple[int, int]:
        """Width and height of the picture when its longer side has so many pixels."""
        height, width = self.pixels.shape[:2]
        return max(1, round(width * side / max(height, width))), max(
            1, round(height * side / max(height, width))
        )

    @property
    def shown(self) -> np.ndarray:
        """The pixels, enlarged where they are few."""
        scale = LARGE // max(self.pixels.shape[:2])
        return images.enlarged(self.pixels, scale) if scale > 1 else self.pixels


def drop(target: str, slug: str) -> None:
    """A field to drop a picture on, which leads to the page that explains it."""
    given = st.file_uploader(
        "What does a model see in a picture of yours? Drop it here",
        UPLOADS,
        key="home-picture",
        max_upload_size=uploads.MOST_BYTES >> 20,
    )
    if given is not None and given.file_id != st.session_state.get(f"{BROUGHT}-id"):
        st.session_state[BROUGHT], st.session_state[f"{BROUGHT}-id"] = given, given.file_id
        st.switch_page(target, query_params={f"{slug}-source": "Upload"})


def picture(slug: str) -> Chosen | None:
    """The controls that choose a picture, and the picture; None while there is none."""
    source = st.segmented_control(
        "Picture",
        SOURCES,
        default=SOURCES[0],
        required=True,
        key=f"{slug}-source",
        bind="query-params",
        on_change=_suit,
        args=(slug,),
        wrap=True,
    )
    if source == "Gallery":
        return from_gallery(
            st.selectbox(
                "Photograph",
                list(uploads.gallery()),
                key=f"{slug}-photograph",
                bind="query-params",
                filter_mode=None,
            )
        )
    if source == "Scene":
        found = scene(st.slider("Scene", 1, SCENES, key=f"{slug}-scene", bind="query-params"))
        st.caption(
            "Generated, so the true cause is known. `scenes` was trained where the corner tag tells nothing,"
            " `scenes-tagged` where it tells all."
        )
        return found
    if source == "Upload":
        given = st.file_uploader(
            "A picture of your own: JPEG, PNG, WebP or GIF, at most 8 MB",
            UPLOADS,
            key=f"{slug}-upload",
            max_upload_size=uploads.MOST_BYTES >> 20,
        )
        st.caption(
            "It is never written to disk and not in the link; a copy of the model's size and its maps stay in"
            " memory until newer ones come."
        )
        given = given or st.session_state.get(BROUGHT)
    else:
        given = st.camera_input("A picture from your camera", key=f"{slug}-camera")
        st.caption(
            "Needs a camera, your browser's permission, and localhost or HTTPS. The picture is not kept."
        )
    if given is None:
        st.info(
            "A picture appears here once it is chosen; until then the gallery has some.",
            icon=":material/image:",
        )
        return None
    return taken(given)


def besides() -> tuple[str, ...]:
    """The names of the pictures that can stand beside the first."""
    return ("", *uploads.gallery(), *(f"scene-{number}" for number in range(1, SCENES + 1)), BESIDE_OWN)


def beside(slug: str) -> Chosen | None:
    """The control that sets a second picture beside the first, and that picture; None
    while there is none.
    """
    name = st.selectbox(
        "Beside it",
        besides(),
        key=f"{slug}-beside",
        bind="query-params",
        format_func=lambda name: name or "nothing",
        filter_mode="fuzzy",
    )
    if name == BESIDE_OWN:
        given = st.file_uploader(
            "The second picture: JPEG, PNG, WebP or GIF, at most 8 MB",
            UPLOADS,
            key=f"{slug}-second",
            max_upload_size=uploads.MOST_BYTES >> 20,
        )
        return taken(given) if given is not None else None
    if name.startswith("scene-"):
        return scene(int(name.removeprefix("scene-")))
    return from_gallery(name) if name else None


def taken(given: Any) -> Chosen | None:
    """An uploaded picture; None, and why, where it is refused."""
    try:
        found = uploads.read(given.getvalue(), given.name)
    except uploads.BadPicture as error:
        st.error(str(error), icon=":material/error:", title="This picture was not taken")
        return None
    return Chosen(found.pixels, found.size, uploads.shown_name(given.name), "own-picture")


def _suit(slug: str) -> None:
    """Ask a model of scenes about scenes, and one of photographs about photographs."""
    names, now = models(), st.session_state.get(f"{slug}-model", "")
    if (st.session_state[f"{slug}-source"] == "Scene") != now.startswith("scenes"):
        st.session_state[f"{slug}-model"] = _default_model(st.session_state[f"{slug}-source"], names)


def _default_model(source: str, names: Sequence[str]) -> str:
    """One seed: an average of five takes five times as long, and doubt over seeds is
    asked for by itself.
    """
    wanted = "scenes/0" if source == "Scene" else "cifar10/0"
    return wanted if wanted in names else names[0]


@st.cache_resource(max_entries=32, show_spinner=False)
def from_gallery(name: str) -> Chosen:
    known = uploads.gallery()[name]
    found = known.read()
    return Chosen(found.pixels, found.size, f"{known.title}: {known.origin}, {known.licence}", name)


@st.cache_resource(max_entries=1, show_spinner=False)
def _scenes() -> "Scenes":
    from mlcv_explore.data import scenes

    return scenes.generate(scenes.ScenesConfig(), SCENES, 0, "shown on the page")


def scene(number: int) -> Chosen:
    """A generated scene, the first one is 1; its tag tells nothing."""
    from mlcv_explore.data.scenes import SILHOUETTES
    from mlcv_explore.saliency.scores import Truth

    made, place = _scenes(), number - 1
    pixels = np.ascontiguousarray(made.images[place].transpose(1, 2, 0))
    cause, tag = made.classes[made.labels[place]], SILHOUETTES[made.tags[place]]
    words = f"Scene {number}: a {cause}; the colour of its corner tag is that of a {tag}"
    return Chosen(
        pixels,
        (pixels.shape[1], pixels.shape[0]),
        words,
        f"scene-{number}",
        Truth(made.masks[place], made.tag_boxes[place]),
    )


def models() -> tuple[str, ...]:
    """The names of all models that are offered."""
    from mlcv_explore.models import available_models

    return tuple(offer.name for offer in available_models.listing())


def model(slug: str) -> "Classifier":
    """The control that chooses a model, and the model; the one that ships when another
    cannot be had.
    """
    from mlcv_explore.models import available_models
    from mlcv_explore.models.checkpoints import CheckpointError

    offers = {offer.name: offer for offer in available_models.listing() if offer.present or not page.public()}
    first = _default_model(st.session_state.get(f"{slug}-source", SOURCES[0]), list(offers))
    name = st.selectbox(
        "Model",
        list(offers),
        list(offers).index(first),
        key=f"{slug}-model",
        bind="query-params",
        filter_mode=None,
    )
    st.caption(offers[name].sentence + ".")
    try:
        if offers[name].present:
            return available_models.load(name)
        with st.status(f"Fetching the weights of {name} …") as status:
            bar = st.progress(0.0)

            def report(had: int, total: int) -> None:
                bar.progress(
                    min(1.0, had / total) if total else 0.0, f"{had / 1e6:.0f} of {total / 1e6:.0f} MB"
                )

            found = available_models.load(name, report)
            status.update(label=f"{name} is here", state="complete")
        return found
    except CheckpointError as error:
        st.warning(f"{error} Shown instead: {first}.", icon=":material/cloud_off:")
        return available_models.load(first)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def squeezed(digest: str, _pixels: np.ndarray, side: int) -> np.ndarray:
    """The picture as the model sees it, float32 (3, side, side)."""
    return uploads.squeezed(_pixels, side)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def small(digest: str, _pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture at a map's size (width, height) on the page."""
    return uploads.resized(_pixels, size)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def probabilities(digest: str, model_key: str, _network: Any, _seen: np.ndarray) -> np.ndarray:
    """(classes,) of the picture."""
    from mlcv_explore.models import classifiers

    return classifiers.predict_probabilities(_network, [_seen])[0]


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def maps(
    digest: str, model_key: str, target: "Target", settings_key: str, layer: str | None, randomised: int
) -> "dict[str, Map]":
    """The maps made so far of a network whose top layers may have been randomised, by
    method; `arriving` adds to them.
    """
    return {}


def arriving(
    known: "dict[str, Map]",
    network: Any,
    seen: np.ndarray,
    target: "Target",
    methods: Sequence[str],
    settings: "SaliencySettings",
    layer: str | None,
    randomised: int,
) -> "Iterator[Map]":
    """Make those of the maps that are not known yet, and add each as it comes, the
    cheap ones first. Raises SaliencyError.
    """
    import torch

    from mlcv_explore import saliency

    missing = [name for name in methods if name not in known]
    if missing:
        asked = saliency.randomised(network, randomised, 0) if randomised else network
        for found in saliency.attribute_all(
            asked, torch.from_numpy(seen), target, missing, settings, 0, layer
        ):
            known[found.method] = found
            yield found


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def opinions(
    digest: str,
    model_key: str,
    target: "Target",
    methods: tuple[str, ...],
    settings_key: str,
    layer: str | None,
    kind: str,
    _model: "Classifier",
    _seen: np.ndarray,
    _settings: Any,
) -> "dict[str, AttributionStats]":
    """What several draws, or several seeds of the model, say together."""
    import torch

    from mlcv_explore.models import checkpoints
    from mlcv_explore.saliency import uncertainty

    picture = torch.from_numpy(_seen)
    if kind == "draws":
        return uncertainty.over_draws(_model.network, picture, target, methods, _settings, range(5), layer)
    seeds = [member.network for member in checkpoints.members(_model.name.split("/")[0])]
    return uncertainty.over_models(seeds, picture, target, methods, _settings, 0, layer)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def curve(
    digest: str,
    model_key: str,
    target: int,
    map_digest: str,
    fill: "Fill",
    _network: Any,
    _seen: np.ndarray,
    _map: np.ndarray,
) -> np.ndarray:
    """(2, T) the target's probability while pixels are removed, and while they are
    shown, the most salient first.
    """
    import torch

    from mlcv_explore.saliency import faithfulness

    asked = (_network, torch.from_numpy(_seen)[None], torch.tensor([target]), _map[None, None], fill)
    return np.stack(
        [walk(*asked).probabilities[0, 0] for walk in (faithfulness.deletion, faithfulness.insertion)]
    )


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def scores(
    digest: str,
    model_key: str,
    target: "Target",
    methods: tuple[str, ...],
    settings_key: str,
    layer: str | None,
    _network: Any,
    _seen: np.ndarray,
    _maps: "Sequence[Map]",
    _settings: "SaliencySettings",
    _truth: "Truth | None",
) -> "list[Score]":
    """What these maps are worth."""
    import torch

    from mlcv_explore.saliency import scores

    return scores.scores(_network, torch.from_numpy(_seen), _maps, _settings, 0, layer, _truth)


def raw(values: np.ndarray) -> bytes:
    """A map as NPY."""
    file = io.BytesIO()
    np.save(file, values, allow_pickle=False)
    return file.getvalue()


def warm() -> None:
    """Make the maps a page opens with, so that its first visitor does not wait for
    them.
    """
    from mlcv_explore import saliency
    from mlcv_explore.models import available_models

    offers = [offer.name for offer in available_models.listing() if offer.origin == "ships"]
    if not offers:
        return
    chosen, classifier = (
        from_gallery(next(iter(uploads.gallery()))),
        available_models.load(_default_model(SOURCES[0], offers)),
    )
    seen = squeezed(chosen.digest, chosen.pixels, classifier.side)
    target = int(probabilities(chosen.digest, classifier.key, classifier.network, seen).argmax())
    how, layer = saliency.SaliencySettings(), list(saliency.convolutions(classifier.network))[-1]
    made = maps(chosen.digest, classifier.key, target, how.key(), layer, 0)
    for _ in arriving(made, classifier.network, seen, target, FIRST, how, layer, 0):
        pass
    first = made[FIRST[0]].values
    curve(chosen.digest, classifier.key, target, digest_of(first), "mean", classifier.network, seen, first)


def without(seen: np.ndarray, values: np.ndarray, share: float, fill: "Fill") -> np.ndarray:
    """The picture (3, h, w) without this share of its most salient pixels."""
    import torch

    from mlcv_explore.saliency import faithfulness

    return faithfulness.at_share(torch.from_numpy(seen), values, share, fill).numpy()
