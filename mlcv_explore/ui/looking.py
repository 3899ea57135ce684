"""What the saliency page holds for its visitors: pictures, models, and maps that were made already. Pixels stay in memory, never on disk."""

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from mlcv_explore import photographs
from mlcv_explore.ui import page

if TYPE_CHECKING:
    from mlcv_explore.checkpoints import Classifier
    from mlcv_explore.saliency import Map, SaliencySettings, Target
    from mlcv_explore.saliency.doubt import Opinion

BROUGHT = "picture-brought"  # what a visitor dropped on the home page
KEPT = 200  # answers of one kind that are kept for all visitors
UPLOADS = ["jpg", "jpeg", "png", "webp", "gif"]
SOURCES = ("Gallery", "Upload", "Camera")  # as the link names them
FIRST = ("gradcam", "integrated_gradients", "smoothgrad", "guided_backprop", "occlusion", "edges")  # the methods a page opens with


def digest_of(values: np.ndarray) -> str:
    """What identifies an array: what is kept under it can never be another array's."""
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes() + f"{values.shape}{values.dtype}".encode(), digest_size=12).hexdigest()


@dataclass(frozen=True)
class Chosen:
    """The picture a visitor looks at."""

    pixels: np.ndarray  # (h, w, 3) uint8, at most 1,024 pixels a side
    size: tuple[int, int]  # width and height of the picture as it came
    words: str  # what it is and whose
    name: str  # short, for file names

    @property
    def digest(self) -> str:
        """What identifies the pixels."""
        return digest_of(self.pixels)


def drop(target: str, slug: str) -> None:
    """A field to drop a picture on, which leads to the page that explains it."""
    given = st.file_uploader("What does a model see in a picture of yours? Drop it here", UPLOADS, key="home-picture")
    if given is not None and given.file_id != st.session_state.get(f"{BROUGHT}-id"):
        st.session_state[BROUGHT], st.session_state[f"{BROUGHT}-id"] = given, given.file_id
        st.switch_page(target, query_params={f"{slug}-source": "Upload"})


def picture(slug: str) -> Chosen | None:
    """The controls that choose a picture, and the picture; None while there is none."""
    source = st.segmented_control("Picture", SOURCES, default=SOURCES[0], required=True, key=f"{slug}-source", bind="query-params")
    if source == "Gallery":
        known = photographs.gallery()
        name = st.selectbox("Photograph", list(known), key=f"{slug}-photograph", bind="query-params", filter_mode=None)
        found = _from_gallery(name)
        return Chosen(found.pixels, found.size, f"{known[name].title}: {known[name].origin}, {known[name].licence}", name)
    if source == "Upload":
        given = st.file_uploader("A picture of your own: JPEG, PNG, WebP or GIF, at most 8 MB", UPLOADS, key=f"{slug}-upload")
        st.caption("It is never written to disk and not in the link; a copy of the model's size and its maps stay in memory until newer ones come.")
        given = given or st.session_state.get(BROUGHT)
    else:
        given = st.camera_input("A picture from your camera", key=f"{slug}-camera")
        st.caption("Needs a camera, your browser's permission, and localhost or HTTPS. The picture is not kept.")
    if given is None:
        st.info("A picture appears here once it is chosen; until then the gallery has some.", icon=":material/image:")
        return None
    try:
        found = photographs.read(given.getvalue(), given.name)
    except photographs.BadPicture as error:
        st.error(str(error), icon=":material/error:", title="This picture was not taken")
        return None
    return Chosen(found.pixels, found.size, photographs.shown_name(given.name), "own-picture")


@st.cache_resource(max_entries=32, show_spinner=False)
def _from_gallery(name: str) -> photographs.Photograph:
    return photographs.gallery()[name].read()


def models() -> tuple[str, ...]:
    """The names of all models that are offered."""
    from mlcv_explore import zoo

    return tuple(offer.name for offer in zoo.offers())


def model(slug: str) -> "Classifier":
    """The control that chooses a model, and the model; the one that ships when another cannot be had."""
    from mlcv_explore import zoo
    from mlcv_explore.checkpoints import CheckpointError

    offers = {offer.name: offer for offer in zoo.offers() if offer.present or not page.public()}
    name = st.selectbox("Model", list(offers), key=f"{slug}-model", bind="query-params", filter_mode=None)
    st.caption(offers[name].sentence + ".")
    try:
        if offers[name].present:
            return zoo.load(name)
        with st.status(f"Fetching the weights of {name} …") as status:
            bar = st.progress(0.0)

            def report(had: int, total: int) -> None:
                bar.progress(min(1.0, had / total) if total else 0.0, f"{had / 1e6:.0f} of {total / 1e6:.0f} MB")

            found = zoo.load(name, report)
            status.update(label=f"{name} is here", state="complete")
        return found
    except CheckpointError as error:
        first = next(iter(offers))
        st.warning(f"{error} Shown instead: {first}.", icon=":material/cloud_off:")
        return zoo.load(first)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def squeezed(digest: str, _pixels: np.ndarray, side: int) -> np.ndarray:
    """The picture as the model sees it, float32 (3, side, side)."""
    return photographs.squeezed(_pixels, side)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def probabilities(digest: str, model_name: str, _network: Any, _seen: np.ndarray) -> np.ndarray:
    """(classes,) of the picture."""
    from mlcv_explore import classifiers

    return classifiers.shares_of(_network, [_seen])[0]


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def maps(
    digest: str,
    model_name: str,
    target: "Target",
    methods: tuple[str, ...],
    settings_key: str,
    layer: str | None,
    randomised: int,
    _network: Any,
    _seen: np.ndarray,
    _settings: "SaliencySettings",
) -> "dict[str, Map]":
    """The maps of these methods, of a network whose top layers may have been randomised."""
    import torch

    from mlcv_explore import saliency

    network = saliency.randomised(_network, randomised, 0) if randomised else _network
    return {found.method: found for found in saliency.panel(network, torch.from_numpy(_seen), target, methods, _settings, 0, layer)}


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def opinions(
    digest: str, model_name: str, target: "Target", methods: tuple[str, ...], settings_key: str, kind: str, _seen: np.ndarray, _settings: Any
) -> "dict[str, Opinion]":
    """What several draws, or several seeds of the model, say together."""
    import torch

    from mlcv_explore import checkpoints, zoo
    from mlcv_explore.saliency import doubt

    picture = torch.from_numpy(_seen)
    if kind == "draws":
        return doubt.over_draws(zoo.load(model_name).network, picture, target, methods, _settings, range(5))
    networks = [member.network for member in checkpoints.members(model_name.split("/")[0])]
    return doubt.over_models(networks, picture, target, methods, _settings, 0)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def curve(digest: str, model_name: str, target: int, map_digest: str, _network: Any, _seen: np.ndarray, _map: np.ndarray) -> np.ndarray:
    """(2, T) the target's probability while pixels are removed, and while they are shown, the most salient first."""
    import torch

    from mlcv_explore.saliency import measures

    asked = (_network, torch.from_numpy(_seen)[None], torch.tensor([target]), _map[None, None])
    return np.stack([walk(*asked).probabilities[0, 0] for walk in (measures.deletion, measures.insertion)])


def raw(values: np.ndarray) -> bytes:
    """A map as NPY."""
    file = io.BytesIO()
    np.save(file, values, allow_pickle=False)
    return file.getvalue()


def warm() -> None:
    """Make the maps a page opens with, so that its first visitor does not wait for them."""
    from mlcv_explore import saliency, zoo

    offers = [offer.name for offer in zoo.offers() if offer.origin == "ships"]
    if not offers:
        return
    found, classifier = _from_gallery(next(iter(photographs.gallery()))), zoo.load(offers[0])
    chosen = Chosen(found.pixels, found.size, "", "")
    seen = squeezed(chosen.digest, chosen.pixels, classifier.side)
    target = int(probabilities(chosen.digest, classifier.name, classifier.network, seen).argmax())
    how, layer = saliency.SaliencySettings(), list(saliency.convolutions(classifier.network))[-1]
    made = maps(chosen.digest, classifier.name, target, FIRST, how.key(), layer, 0, classifier.network, seen, how)
    first = made[FIRST[0]].values
    curve(chosen.digest, classifier.name, target, digest_of(first), classifier.network, seen, first)


def without(seen: np.ndarray, values: np.ndarray, share: float) -> np.ndarray:
    """The picture (3, h, w) without this share of its most salient pixels."""
    import torch

    from mlcv_explore.saliency import measures

    return measures.at_share(torch.from_numpy(seen), values, share).numpy()
