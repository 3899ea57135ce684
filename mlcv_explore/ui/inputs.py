"""Controls through which a visitor gives an image, a drawing or a file. What is uploaded
stays in this visitor's memory, never on disk.

Home imports it: images, data sets and models are imported by what needs them.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    import numpy as np

    from mlcv_explore.data.scenes import Scenes
    from mlcv_explore.saliency.scores import Truth

IMAGE_TYPES = ("jpg", "jpeg", "jfif", "png", "webp", "gif")
MAX_MB = 24  # of an image, as its reader allows
MEGAPIXELS = (80, 50, 25)  # likewise
IMAGE_LIMITS = "Largest image: {} megapixels as JPEG ({} if progressive), {} as PNG, WebP or GIF.".format(
    *MEGAPIXELS
)
NOT_STORED = "Not stored, not shared."
SOURCES = ("Gallery", "Scene", "Upload", "Camera")  # as the link names them
SCENES = 24  # generated ones to choose from
OWN_IMAGE = "your own image"  # among what can be compared with
LARGE = 256  # pixels a side: smaller images are shown enlarged
THUMBNAIL = 64  # pixels high
HOME_UPLOAD = "home-upload"  # the image uploaded on the home page
SMALL_MODEL = "cifar10/0"  # ten classes at 32 × 32 pixels
IMAGENET = "imagenet"  # the model of that name classifies photographs into 1,000 classes


def array_digest(values: "np.ndarray") -> str:
    """What identifies an array by its content, as a cache key."""
    content = values.tobytes() + f"{values.shape}{values.dtype}".encode()
    return hashlib.blake2b(content, digest_size=12).hexdigest()


@dataclass(frozen=True)
class ChosenImage:
    """The image a visitor has chosen."""

    pixels: "np.ndarray"  # (h, w, 3) uint8, at most 1,024 pixels a side
    size: tuple[int, int]  # width and height of a map to download: the image's, within 12 megapixels
    description: str  # what it shows and whose it is
    name: str  # short, for file names
    truth: "Truth | None" = None  # where it is known
    notes: tuple[str, ...] = ()  # what was done to it on reading

    @cached_property
    def digest(self) -> str:
        """What identifies the pixels."""
        return array_digest(self.pixels)

    def size_within(self, side: int) -> tuple[int, int]:
        """Width and height when the longer side has `side` pixels."""
        height, width = self.pixels.shape[:2]
        longer = max(height, width)
        return max(1, round(width * side / longer)), max(1, round(height * side / longer))

    @property
    def enlarged(self) -> "np.ndarray":
        """The pixels, enlarged where they are few."""
        from mlcv_explore.charts import images

        scale = LARGE // max(self.pixels.shape[:2])
        return images.enlarged(self.pixels, scale) if scale > 1 else self.pixels


def read_image(content: bytes, name: str) -> ChosenImage:
    """An uploaded image. Raises BadUpload."""
    from mlcv_explore.data import uploads

    image = uploads.read(content, name)
    size, shown = uploads.size_of_map(image.size), uploads.shown_name(name)
    return ChosenImage(image.pixels, size, shown, "own-image", notes=image.notes)


def upload(
    key: str,
    label: str = "Your own image",
    kinds: Sequence[str] = IMAGE_TYPES,
    parse: Callable[..., Any] = read_image,
    args: tuple[Any, ...] = (),
    max_mb: int = MAX_MB,
    rejected: str = "Image rejected",
) -> Any:
    """A field for one file; returns `parse(content, name, *args)`, for images a
    ChosenImage. None while there is no file, or where `parse` raises BadUpload, whose
    sentence is then shown under the title `rejected`.

    A file is parsed once, and again when `args` change.
    """
    limits = IMAGE_LIMITS if tuple(kinds) == IMAGE_TYPES else None
    file = st.file_uploader(label, list(kinds), key=key, max_upload_size=max_mb, help=limits)
    st.caption(NOT_STORED)  # the field itself names the largest file
    return _parsed(key, file, parse, args, rejected)


def upload_and_open(
    page: str, slug: str, label: str = "Upload a photograph", query_params: Mapping[str, str] | None = None
) -> None:
    """A field for an image that leads to `page`, the page of the idea `slug`, where
    `choose_image` then returns it.
    """
    image = upload(HOME_UPLOAD, label)
    known = st.session_state.get(f"{HOME_UPLOAD}-image")
    if image is not None and image is not known:
        st.session_state[f"{HOME_UPLOAD}-image"] = image
        st.switch_page(page, query_params={f"{slug}-source": "Upload"} | dict(query_params or {}))


def example_strip(
    key: str, examples: "Mapping[str, np.ndarray]", label: str = "Examples", default: str | None = None
) -> str:
    """Thumbnails to choose from; returns the name of the chosen one, which stands in the
    link under `key`.

    `examples` are uint8 images (h, w) or (h, w, 3) of at most some 200 pixels a side;
    their names are shown beneath them. The first is chosen unless `default` names one.
    """
    names = list(examples)
    addresses = {name: _thumbnail(array_digest(image), image) for name, image in examples.items()}
    small = [name for name, image in examples.items() if max(image.shape[:2]) < THUMBNAIL]
    _style_strip(key, addresses, small)
    first = default or names[0]
    about: dict[str, Any] = {"required": True, "key": key, "bind": "query-params", "wrap": True}
    return st.segmented_control(label, names, default=first, **about) or first  # empty in the link


def open_example(page: str, slug: str, examples: Mapping[str, str], label: str = "Or an example") -> None:
    """Photographs of the gallery, by name their addresses; the chosen one opens `page`,
    the page of the idea `slug`, where `choose_image` then returns it.
    """
    if not examples:
        return
    _style_strip("home-example", examples)
    if name := st.segmented_control(label, list(examples), key="home-example", wrap=True):
        st.switch_page(page, query_params={f"{slug}-source": "Gallery", f"{slug}-photograph": name})


def _style_strip(key: str, addresses: Mapping[str, str], small: Sequence[str] = ()) -> None:
    """The buttons of the control `key` as thumbnails; those of `small` images keep
    their pixels.
    """
    button = f".st-key-{key} button"
    rules = [
        f"{button}{{height:auto;flex:none;flex-direction:column;padding:0.3rem}}",
        f"{button}::before{{content:'';display:block;width:5rem;height:{THUMBNAIL}px;"
        "background:center/contain no-repeat}",
        f"@media(max-width:640px){{.st-key-{key} [role=radiogroup]"
        "{flex-wrap:nowrap;overflow-x:auto;max-width:calc(100vw - 2rem)}}",
    ]
    for place, (name, address) in enumerate(addresses.items(), start=1):
        pixelated = ";image-rendering:pixelated" if name in small else ""
        rules.append(f"{button}:nth-of-type({place})::before{{background-image:url({address}){pixelated}}}")
    st.html(f"<style>{''.join(rules)}</style>")


def image_links() -> dict[str, tuple[str, ...]]:
    """The names in the link of the controls that `choose_image` makes, and what each may be."""
    from mlcv_explore.data import gallery

    scenes_shown = tuple(str(number) for number in range(1, SCENES + 1))
    return {"source": SOURCES, "photograph": tuple(gallery.photographs()), "scene": scenes_shown}


def choose_image(slug: str, models: Sequence[str] = ()) -> ChosenImage | None:
    """The controls that choose an image, and the image; None while there is none.

    A change between photographs and generated scenes also changes the page's model to
    one of that kind, out of `models` (all where none are named).
    """
    source = st.segmented_control(
        "Image",
        SOURCES,
        default=SOURCES[0],
        required=True,
        key=f"{slug}-source",
        bind="query-params",
        on_change=_match_model,
        args=(slug, tuple(models)),
        wrap=True,
    )
    source = source or SOURCES[0]  # an empty value in the link
    if source == "Gallery":
        return gallery_image(example_strip(f"{slug}-photograph", gallery_thumbnails(), "Photograph"))
    if source == "Scene":
        image = scene(st.slider("Scene", 1, SCENES, key=f"{slug}-scene", bind="query-params"))
        st.caption(
            "Generated, so the true cause is known. In the training set of `scenes` the corner tag is"
            " uninformative; in that of `scenes-tagged` it always agrees with the class."
        )
        return image
    if source == "Upload":
        image = upload(f"{slug}-upload")
        if image is None and (image := st.session_state.get(f"{HOME_UPLOAD}-image")):
            _show_notes(image)
    else:
        key = f"{slug}-camera"
        image = _parsed(key, _taken(key), read_image, (), "Image rejected")
        st.caption(f"Needs a camera, your browser's permission, and localhost or HTTPS. {NOT_STORED}")
    if image is None:
        st.info("Choose an image to start, or take one from the gallery.", icon=":material/image:")
    return image


def compare_choices() -> tuple[str, ...]:
    """The names of the images that can be compared with."""
    from mlcv_explore.data import gallery

    return ("", *gallery.photographs(), *(f"scene-{number}" for number in range(1, SCENES + 1)), OWN_IMAGE)


def compare_image(slug: str) -> ChosenImage | None:
    """The control that chooses a second image, and that image; None while there is
    none.
    """
    name = st.selectbox(
        "Compare with",
        compare_choices(),
        key=f"{slug}-compare",
        bind="query-params",
        format_func=lambda name: name or "nothing",
        filter_mode="fuzzy",
    )
    if name == OWN_IMAGE:
        return upload(f"{slug}-second", "Your second image")
    if name.startswith("scene-"):
        return scene(int(name.removeprefix("scene-")))
    return gallery_image(name) if name else None


@st.cache_resource(max_entries=32, show_spinner=False)
def gallery_image(name: str) -> ChosenImage:
    """A photograph of the gallery."""
    from mlcv_explore.data import gallery

    known = gallery.photographs()[name]
    image = known.read()
    return ChosenImage(image.pixels, image.size, f"{known.title}: {known.author}, {known.licence}", name)


@st.cache_resource(max_entries=1, show_spinner=False)
def gallery_thumbnails() -> "dict[str, np.ndarray]":
    """The photographs of the gallery, twice as large as shown for dense screens."""
    from mlcv_explore.data import gallery

    return {name: image.read(160).pixels for name, image in gallery.photographs().items()}


def scene(number: int) -> ChosenImage:
    """A generated scene, the first one is 1; its tag is uninformative."""
    from mlcv_explore.data.scenes import SILHOUETTES
    from mlcv_explore.saliency.scores import Truth

    scenes, index = _scenes(), number - 1
    pixels = scenes.images[index].transpose(1, 2, 0).copy()
    cause, tag = scenes.classes[scenes.labels[index]], SILHOUETTES[scenes.tags[index]]
    return ChosenImage(
        pixels,
        (pixels.shape[1], pixels.shape[0]),
        f"Scene {number}: a {cause}; its corner tag has the colour of a {tag}",
        f"scene-{number}",
        Truth(scenes.masks[index], scenes.tag_boxes[index]),
    )


def model_names() -> tuple[str, ...]:
    """The names of all models that can be chosen."""
    from mlcv_explore.models import available_models

    return tuple(offer.name for offer in available_models.listing() if offer.can_be_loaded)


def default_model(source: str, names: Sequence[str]) -> str:
    """The model for images of this source, out of `names`: for photographs that of
    ImageNet. One seed of the others: an average of five takes five times as long.
    """
    preferred = ("scenes/0",) if source == "Scene" else (IMAGENET, SMALL_MODEL)
    return next((name for name in preferred if name in names), names[0])


def _match_model(slug: str, names: Sequence[str]) -> None:
    """Choose the default model of the new source, unless the visitor's own choice
    suits it too.
    """
    names, source = list(names) or list(model_names()), st.session_state[f"{slug}-source"]
    defaults = {default_model(kind, names) for kind in SOURCES}
    chosen = st.session_state.get(f"{slug}-model", "")
    if (source == "Scene") != chosen.startswith("scenes") or chosen in defaults:
        st.session_state[f"{slug}-model"] = default_model(source, names)


def _taken(key: str) -> Any:
    """The photograph of the visitor's camera, a file; None while there is none."""
    return st.camera_input("Camera", key=key)


def _parsed(key: str, file: Any, parse: Callable[..., Any], args: tuple[Any, ...], rejected: str) -> Any:
    """What `parse` makes of the file, kept for this visitor until another comes, and
    what was done to it.
    """
    state = f"{key}-parsed"
    if file is None:
        st.session_state.pop(state, None)
        return None
    from mlcv_explore.data.uploads import BadUpload

    known = st.session_state.get(state)
    if known is None or known[0] != (file.file_id, args):
        try:
            known = (file.file_id, args), parse(file.getvalue(), file.name, *args), ""
        except BadUpload as error:
            known = (file.file_id, args), None, str(error)
        st.session_state[state] = known
    _, value, error = known
    if error:
        st.error(error, icon=":material/error:", title=rejected)
    _show_notes(value)
    return value


def _show_notes(value: Any) -> None:
    """What was done to an image or a digit, where there is one."""
    if getattr(value, "description", "") and value.notes:
        st.caption(f"{value.description}: {'; '.join(value.notes)}.")


@st.cache_resource(max_entries=1, show_spinner=False)
def _scenes() -> "Scenes":
    from mlcv_explore.data import scenes

    return scenes.generate(scenes.ScenesConfig(), SCENES, 0, "shown on the page")


@st.cache_resource(max_entries=200, show_spinner=False)
def _thumbnail(digest: str, _image: "np.ndarray") -> str:
    """The image as an address that holds it."""
    from mlcv_explore.charts import images

    return "data:image/png;base64," + base64.b64encode(images.png(_image)).decode()
