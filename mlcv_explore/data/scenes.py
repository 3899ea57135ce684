"""Generated scenes: a patterned shape on a photographed texture, with masks, boxes and
background as ground truth.

For experiments on what a model uses, or what a mask determines. Each quantity has a
stream of its own, so scenes of one seed that differ in `rho` alone differ in the tag
alone.
"""

from dataclasses import dataclass

import numpy as np

from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.data.backgrounds import crop_photographs
from mlcv_explore.data.dataset import Images
from mlcv_explore.data.shapes import (
    centred_coordinates,
    corner_boxes,
    fill_boxes,
    pick,
    place_boxes,
    ring_masks,
    silhouette_masks,
)
from mlcv_explore.seeds import numpy_stream

SILHOUETTES = ("circle", "square", "triangle", "cross")
TEXTURES = ("plain", "stripes", "checks", "dots")
TAG_SIDE = 4
# apart in brightness too
TAG_COLOURS = np.array([[255, 255, 0], [0, 190, 0], [255, 0, 255], [0, 0, 255]], np.uint8)
LARGEST_COUNT = 100_000
INDEPENDENT = 0.25  # agreement of a tag or background with one of four classes that is uninformative
BLOCK = 512  # scenes generated at once, to bound memory

# Grey levels an object's pixel can be moved away from the middle one. Both sums are such that
# nothing is ever cut off at 0 or 255.
MIDDLE = 127.5
BRIGHTNESS, COLOUR, CONTRAST = 24, 52, 50  # drawn, whatever the mask
BY_SIZE, BY_LIGHT = 61, 28  # determined by the mask, at full dependence
# share of the random variation removed at full dependence; textures stay distinguishable
COLOUR_FADED, CONTRAST_FADED = 0.85, 0.5


class ScenesConfig(Config):
    """Properties of the scenes."""

    side: int = setting(32, "Side", choices=(32, 64), unit="pixels")
    label: str = setting("silhouette", "The class is", choices=("silhouette", "texture", "both"))
    rho: float = setting(
        0.25,
        "Tag agrees with the class",
        low=0.25,
        high=1,
        step=0.05,
        help="Probability. At 0.25 the tag is uninformative.",
    )
    dependence: float = setting(
        0,
        "Appearance follows the mask",
        low=0,
        high=1,
        step=0.05,
        help="Larger objects are brighter, light comes from above. At 0 neither is so.",
    )
    smallest: float = setting(
        0.28, "Smallest object", low=0.25, high=0.35, step=0.01, help="Share of the side.", more=True
    )
    largest: float = setting(
        0.4, "Largest object", low=0.35, high=0.5, step=0.01, help="Share of the side.", more=True
    )

    @property
    def sizes(self) -> tuple[int, int]:
        """Smallest and largest side of an object in pixels."""
        return round(self.smallest * self.side), round(self.largest * self.side)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the 4 or 16 classes."""
        both = tuple(f"{texture} {silhouette}" for silhouette in SILHOUETTES for texture in TEXTURES)
        return {"silhouette": SILHOUETTES, "texture": TEXTURES, "both": both}[self.label]


@dataclass(frozen=True, eq=False)
class Scenes:
    """n generated scenes and their ground truth. Boxes are top, left, bottom, right in
    pixels, the last two exclusive.
    """

    config: ScenesConfig
    images: np.ndarray  # (n, 3, h, w) uint8, 0–255
    labels: np.ndarray  # (n,) int64, index into classes
    silhouettes: np.ndarray  # (n,) int64, index into SILHOUETTES
    textures: np.ndarray  # (n,) int64, index into TEXTURES
    masks: np.ndarray  # (n, h, w) uint8, 1 on the object
    distractor_masks: np.ndarray  # (n, h, w) uint8, 1 on the distractor
    boxes: np.ndarray  # (n, 4) int64, of the object
    tag_boxes: np.ndarray  # (n, 4) int64
    # (n,) int64, index into TAG_COLOURS; the class it names is the texture where that is the label,
    # else the silhouette
    tags: np.ndarray
    backgrounds: np.ndarray  # (n, 3, h, w) uint8, the background before anything was put on it

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the 4 or 16 classes."""
        return self.config.classes

    def __len__(self) -> int:
        return len(self.labels)

    def as_images(self) -> Images:
        """The same images, labels and object masks as labelled images."""
        return Images(self.images, self.labels, self.classes, self.masks)


def generate(config: ScenesConfig, count: int, seed: int, purpose: str = "scenes") -> Scenes:
    """`count` scenes; the first k of them are those of `generate(config, k, seed,
    purpose)`. Another purpose gives others.

    Object and distractor lie uniformly over all places that are a pixel clear of what
    was placed before (the tag first, then the object). Raises SettingError when `count`
    is not 1–100,000.
    """
    if not 1 <= count <= LARGEST_COUNT:
        raise SettingError(
            f"The number of scenes must be a whole number between 1 and {LARGEST_COUNT:,}, got {count!r}."
        )
    draws = {
        name: numpy_stream(seed, f"{purpose} {name}").random((count, *shape))
        for name, shape in _DRAWS.items()
    }
    starts = range(0, count, BLOCK)
    blocks = [
        _block(config, {name: drawn[start : start + BLOCK] for name, drawn in draws.items()})
        for start in starts
    ]
    return Scenes(config, **{name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]})


def generate_from(config: ScenesConfig, first: int, count: int, seed: int, purpose: str) -> Scenes:
    """Scenes `first`, `first` + 1, … of those that `generate` makes, without the images
    before them.
    """
    draws = {
        name: numpy_stream(seed, f"{purpose} {name}").random((first + count, *shape))[first:]
        for name, shape in _DRAWS.items()
    }
    return Scenes(config, **_block(config, draws))


def on_background(scenes: Scenes, backgrounds: np.ndarray) -> np.ndarray:
    """The images with these backgrounds, uint8 (n, 3, h, w), behind object, distractor
    and tag; their own backgrounds give the images back.

    Raises ValueError when there is not one background a scene, of its size.
    """
    if backgrounds.shape != scenes.backgrounds.shape or backgrounds.dtype != np.uint8:
        raise ValueError(
            f"backgrounds must be uint8 {scenes.backgrounds.shape}, got {backgrounds.dtype}"
            f" {backgrounds.shape}."
        )
    in_front = (
        scenes.masks.astype(bool)
        | scenes.distractor_masks.astype(bool)
        | fill_boxes(scenes.tag_boxes, scenes.config.side)
    )
    return np.where(in_front[:, None], scenes.images, backgrounds)


def determined_part(scenes: Scenes) -> np.ndarray:
    """What the mask determines of the object's pixels, float32 (n, h, w) in grey
    levels: their expectation given the mask, alike in all channels.

    0 outside the object. At dependence 0 it is the middle grey for every mask.
    """
    return scenes.masks * _determined_rows(scenes.config, scenes.boxes)[:, :, None].astype(np.float32)


def ceiling(scenes: Scenes) -> float:
    """The share of the variance of the object's pixels, over all scenes and channels,
    that the mask-determined part explains.

    R² of the best prediction from the mask, up to 1; at dependence 0 as far below 0 as
    chance has moved the objects' mean.
    """
    mask = scenes.masks.astype(bool)
    pixels = scenes.images.transpose(0, 2, 3, 1)[mask].astype(np.float64)  # (object pixels, 3)
    residual = pixels - determined_part(scenes)[mask][:, None]
    return float(1 - np.mean(residual**2) / np.var(pixels))


# What is drawn for a scene, uniform in [0, 1), each from its own stream; and how many numbers,
# where it is more than one.
_DRAWS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        ("silhouette", "texture", "size", "corner", "place", "distractor place", "tag agrees", "other tag"),
        (),
    ),
    **dict.fromkeys(
        (
            "cutting",
            "plate place",
            "mirrored",
            "brightness",
            "tint",
            "sign",
            "contrast tint",
            "angle",
            "period",
        ),
        (),
    ),
    "phase": (2,),
    "distractor colour": (3,),
}


def _block(config: ScenesConfig, draws: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a few scenes, by the names of the fields of Scenes."""
    silhouettes, textures = (
        pick(draws["silhouette"], len(SILHOUETTES)),
        pick(draws["texture"], len(TEXTURES)),
    )
    named = textures if config.label == "texture" else silhouettes
    others = len(TAG_COLOURS) - 1
    tags = np.where(
        draws["tag agrees"] < config.rho,
        named,
        (named + 1 + pick(draws["other tag"], others)) % len(TAG_COLOURS),
    )
    smallest, largest = config.sizes
    sizes = smallest + pick(draws["size"], largest - smallest + 1)
    tag_boxes = corner_boxes(pick(draws["corner"], 4), TAG_SIDE, config.side)
    boxes = place_boxes(draws["place"], sizes, config.side, tag_boxes)
    distractor_sizes = np.full_like(sizes, 3 * config.side // 16)
    distractor_boxes = place_boxes(draws["distractor place"], distractor_sizes, config.side, tag_boxes, boxes)
    masks = silhouette_masks(silhouettes, boxes, config.side)
    distractor_masks = ring_masks(distractor_boxes, config.side)
    backgrounds = crop_photographs(config.side, draws)
    images = backgrounds.transpose(0, 2, 3, 1).copy()  # (n, h, w, 3)
    images[masks] = _object_pixels(config, textures, masks, boxes, draws)
    for inside, colours in (
        (distractor_masks, draws["distractor colour"] * 255),
        (fill_boxes(tag_boxes, config.side), TAG_COLOURS[tags]),
    ):
        images[inside] = colours.astype(np.uint8)[np.nonzero(inside)[0]]
    return {
        "images": np.ascontiguousarray(images.transpose(0, 3, 1, 2)),
        "labels": {
            "silhouette": silhouettes,
            "texture": textures,
            "both": silhouettes * len(TEXTURES) + textures,
        }[config.label],
        "silhouettes": silhouettes,
        "textures": textures,
        "masks": masks.astype(np.uint8),
        "distractor_masks": distractor_masks.astype(np.uint8),
        "boxes": boxes,
        "tag_boxes": tag_boxes,
        "tags": tags,
        "backgrounds": backgrounds,
    }


def _determined_rows(config: ScenesConfig, boxes: np.ndarray) -> np.ndarray:
    """What size and light make of the rows of the objects: float64 (n, side) in grey
    levels, extrapolated outside the box.
    """
    row, _, size = centred_coordinates(boxes, config.side)
    smallest, largest = config.sizes
    # −1 for the smallest, 1 for the largest
    grown = (2 * size - smallest - largest) / max(largest - smallest, 1)
    return (MIDDLE + config.dependence * (BY_SIZE * grown - BY_LIGHT * row / size))[:, :, 0]


def _object_pixels(
    config: ScenesConfig,
    textures: np.ndarray,
    masks: np.ndarray,
    boxes: np.ndarray,
    draws: dict[str, np.ndarray],
) -> np.ndarray:
    """The objects' pixels, uint8 (pixels, 3): what the mask determines plus what is
    drawn, whose mean is 0 for every mask.
    """
    scene, row, column = np.nonzero(masks)
    # one sign as often as the other
    contrast = np.where(draws["sign"] < 0.5, -1, 1)[:, None] * (0.7 + 0.3 * _tint(draws["contrast tint"]))
    colours = BRIGHTNESS * (2 * draws["brightness"][:, None] - 1) + COLOUR * _tint(draws["tint"])  # (n, 3)
    colours *= 1 - COLOUR_FADED * config.dependence
    contrast *= CONTRAST * (1 - CONTRAST_FADED * config.dependence)
    drawn = (
        colours[scene] + contrast[scene] * _pattern(config.side, textures, scene, row, column, draws)[:, None]
    )
    return np.rint(_determined_rows(config, boxes)[scene, row][:, None] + drawn).astype(np.uint8)


def _tint(draws: np.ndarray) -> np.ndarray:
    """A point on the circle of colours as (n, 3) in [-1, 1], adding up to 0 over the
    channels and to 0 on average over the circle.
    """
    return np.cos(2 * np.pi * (draws[:, None] - np.arange(3) / 3))


def _pattern(
    side: int,
    textures: np.ndarray,
    scene: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    draws: dict[str, np.ndarray],
) -> np.ndarray:
    """The texture at these pixels, (pixels,) in [-1, 1]; turned, stretched and shifted
    at random.
    """
    angle = np.pi * draws["angle"][scene]
    wave = 2 * np.pi / (side / 32 * (3.5 + 1.5 * draws["period"]))[scene]
    phase = 2 * np.pi * draws["phase"][scene]  # (pixels, 2)
    along = wave * (row * np.sin(angle) + column * np.cos(angle)) + phase[:, 0]
    across = wave * (row * np.cos(angle) - column * np.sin(angle)) + phase[:, 1]
    plain = np.ones_like(along)
    stripes = 2.5 * np.sin(along)
    checks = 4 * np.sin(along / 1.4) * np.sin(across / 1.4)
    dots = 3 * (np.cos(along) + np.cos(across) - 0.6)
    return np.choose(textures[scene], [plain, stripes, checks, dots]).clip(-1, 1)
