"""A reader's own photograph: read safely, squeezed to a model's square, a map spread
back over it; and photographs at hand.
"""

import importlib.util
import io
import math
import re
import struct
import threading
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

PAGE_SIDE = 1024  # pixels of the longer side of what a page shows and works on
MOST_BYTES = 8 << 20
MOST_PIXELS = 25_000_000
LONGEST_SIDE = 12_000
MOST_SCANS = 100  # progressive encoders write about ten; each costs a pass over the whole picture
LONGEST_NAME = 60

SIGNATURES = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n", "GIF": (b"GIF87a", b"GIF89a")}
FOREIGN = {
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"II+\0": "a TIFF picture",
    b"MM\0+": "a TIFF picture",
    b"8BPS": "a Photoshop document",
    b"%!PS": "an EPS drawing",
    b"\xc5\xd0\xd3\xc6": "an EPS drawing",
    b"%PDF": "a PDF document",
    b"BM": "a BMP picture",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "a compressed file",
}
AVIF_BRANDS = {b"avif", b"avis"}
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
# A marker that a length follows: no stuffed byte, restart, start of image or TEM
JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_END, JPEG_SCAN = 0xD9, 0xDA
# EXIF's orientation → the transposition of Pillow's that undoes it; from 5 on, width and height change places
UPRIGHT = dict(
    enumerate(
        (
            "FLIP_LEFT_RIGHT",
            "ROTATE_180",
            "FLIP_TOP_BOTTOM",
            "TRANSPOSE",
            "ROTATE_270",
            "TRANSVERSE",
            "ROTATE_90",
        ),
        start=2,
    )
)

CARRIED = {
    "cat": ("skimage/data/chelsea.png", "Chelsea the cat", "Stefan van der Walt", "CC0"),
    "coffee": (
        "skimage/data/coffee.png",
        "Cup of coffee",
        "Rachel Michetti, courtesy of Pikolo Espresso Bar",
        "CC0",
    ),
    "pagoda": (
        "sklearn/datasets/images/china.jpg",
        "Pagoda over a lake, China",
        "danielbuechele on Flickr",
        "CC BY 2.0",
    ),
    "flower": ("sklearn/datasets/images/flower.jpg", "Dahlia", "vultilion on Flickr", "CC BY 2.0"),
    "astronaut": (
        "skimage/data/astronaut.png",
        "Astronaut Eileen Collins",
        "NASA Great Images",
        "public domain",
    ),
    "photographer": ("skimage/data/camera.png", "Photographer with a camera", "Lav Varshney", "CC0"),
    "rocket": ("skimage/data/rocket.jpg", "Falcon 9 with DSCOVR", "SpaceX", "public domain"),
    "coins": (
        "skimage/data/coins.png",
        "Greek coins from Pompeii",
        "Brooklyn Museum",
        "no known copyright restrictions",
    ),
    "retina": ("skimage/data/retina.jpg", "Human retina", "Mikael Häggström", "CC0"),
    "galaxies": (
        "skimage/data/hubble_deep_field.jpg",
        "Hubble eXtreme Deep Field",
        "NASA, HubbleSite",
        "public domain",
    ),
}

_decoding = threading.BoundedSemaphore(2)  # a picture at the limits takes up to 0.4 GB while it is decoded


class BadPicture(ValueError):
    """A picture that is refused. The text is one sentence: which rule it breaks, by how
    much, and what to do.
    """


@dataclass(frozen=True, eq=False)
class Photograph:
    """A picture as the pages use it: pixels and nothing of what else the file carried."""

    pixels: np.ndarray  # (h, w, 3) uint8, upright, without alpha; read-only
    # width and height of the whole upright picture; h and w are smaller where it was shrunk
    size: tuple[int, int]


@dataclass(frozen=True)
class GalleryPhotograph:
    """A photograph that an installed library carries."""

    title: str
    origin: str
    licence: str
    path: Path

    def read(self, side: int | None = PAGE_SIDE) -> Photograph:
        """The photograph itself, as `photographs.read` gives it."""
        return read(self.path.read_bytes(), self.title, side)


def read(content: bytes, called: str = "the picture", side: int | None = PAGE_SIDE) -> Photograph:
    """The picture in these bytes: upright by its EXIF orientation, on white where it is
    transparent, first frame where it moves.

    The longer side is at most `side` pixels (averaged down, never enlarged); None gives
    every pixel. JPEG, PNG, WebP and GIF within the limits above are read, everything
    else is refused, by header alone where that tells. 16-bit grey is taken as 8, 10,
    12, 14 or 16 bits deep, whichever is the least that holds its brightest pixel; black
    stays black. Colour profiles are ignored. No file is written; any thread may call.
    Raises BadPicture, one sentence that begins with `shown_name(called)`.
    """
    called = shown_name(called)
    kind = _checked_kind(content, called)
    try:
        _check_size(*_stated_size(content, kind, called), called)
        with _decoding:
            return _decoded(content, kind, called, side)
    except BadPicture:
        raise
    except MemoryError as error:
        raise BadPicture(
            f"{called} needs more memory than is free now: make it smaller, or try again later."
        ) from error
    except Exception as error:  # what a broken file makes a decoder raise is open-ended
        raise BadPicture(
            f"{called} begins like a {kind} picture but is cut off or damaged: save it again, or take another"
            " one."
        ) from error


def shown_name(name: str) -> str:
    """A file's name that is safe to show: its last part, at most 60 characters, without
    control, direction or mark-up characters.

    `../<b>cat</b>.png` → `b_.png`. A name of which nothing is left becomes "the
    picture". The shown name of a shown name is itself.
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = " ".join("".join(map(_plain_character, last)).split()).lstrip(". ")
    if len(plain) > LONGEST_NAME:
        plain = f"{plain[:40].rstrip()}…{plain[-(LONGEST_NAME - 41) :]}"  # the ending stays
    return plain or "the picture"


def squeezed(pixels: np.ndarray, side: int) -> np.ndarray:
    """The whole picture (h, w, 3) uint8 as a model's square: float32 (3, side, side) in
    [0, 1].

    Each axis is scaled for itself, so that every pixel has its place in the square; a
    triangle filter as wide as one pixel of the square keeps fine patterns from
    aliasing, and values are rounded to 1/255 as in the pictures a model was trained on.
    Raises ValueError on another shape.
    """
    from PIL import Image

    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels must be uint8 (h, w, 3), got {pixels.dtype} {pixels.shape}.")
    square = Image.fromarray(np.ascontiguousarray(pixels)).resize((side, side), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(square, dtype=np.float32).transpose(2, 0, 1)) / np.float32(255)


def resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (h, w, 3) uint8 at another size (width, height), averaged down or
    smoothly enlarged.
    """
    from PIL import Image

    return np.array(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BILINEAR))


def spread(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) over the model's square as float32 (height, width) over the whole
    picture of `size` (width, height).

    The way back of `squeezed`, bilinear between the centres of the map's cells and
    level outside the outermost: a mean of neighbours with positive weights, so no value
    leaves the map's range, a map of equal values stays so, and its own size gives it
    back unchanged. Raises ValueError on another shape.
    """
    from PIL import Image

    if values.ndim != 2 or not values.size:
        raise ValueError(f"A map must be (h, w), got shape {values.shape}.")
    return np.array(
        Image.fromarray(np.ascontiguousarray(values, dtype=np.float32)).resize(
            size, Image.Resampling.BILINEAR
        )
    )


def gallery() -> dict[str, GalleryPhotograph]:
    """Photographs that scikit-image and scikit-learn carry in their installed files, by
    short name; read from disk only, never fetched.

    Authors and licences are those stated in `skimage.data`'s docstrings and in
    scikit-learn's `datasets/images/README.txt` (which prints the first author's name
    over the second photograph too; its link names the second). Photographs without a
    stated licence are left out.
    """
    found = {}
    for name, (place, title, origin, licence) in CARRIED.items():
        package, _, within = place.partition("/")
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if (path := Path(folder, within)).is_file():
                found[name] = GalleryPhotograph(title, origin, licence, path)
    return found


def _checked_kind(content: bytes, called: str) -> str:
    """Pillow's name of the format, by the first bytes. Raises BadPicture when it is
    none of the four, or too much.
    """
    if not content:
        raise BadPicture(f"{called} is empty: take another file.")
    if len(content) > MOST_BYTES:
        megabytes = math.ceil(len(content) / (1 << 20) * 10) / 10
        raise BadPicture(
            f"{called} has {megabytes} MB, at most {MOST_BYTES >> 20} MB are read: make it smaller."
        )
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WEBP"
    kind = next((kind for kind, signature in SIGNATURES.items() if content.startswith(signature)), None)
    if kind is None:
        raise BadPicture(
            f"{called} is {_foreign_kind(content)}, only JPEG, PNG, WebP and GIF are read: save it as JPEG."
        )
    return kind


def _foreign_kind(content: bytes) -> str:
    """What a file is that is not read, in words."""
    if content[4:8] == b"ftyp":
        brands = {content[at : at + 4] for at in range(8, min(int.from_bytes(content[:4], "big"), 256), 4)}
        return (
            "an AVIF picture"
            if brands & AVIF_BRANDS
            else "a HEIC picture"
            if brands & HEIC_BRANDS
            else "a film"
        )
    text = content[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<") and (b"<svg" in text or b"<html" in text or b"<!doctype html" in text):
        return "an SVG drawing" if b"<svg" in text and b"<html" not in text else "a web page"
    return next(
        (named for prefix, named in FOREIGN.items() if content.startswith(prefix)),
        "no picture of a known kind",
    )


def _stated_size(content: bytes, kind: str, called: str) -> tuple[int, int]:
    """Width and height that the header states, read without a decoder. Raises
    struct.error or ValueError where there is none.
    """
    if kind == "JPEG":
        return _jpeg_size(content, called)
    if kind == "PNG":
        if content[12:16] != b"IHDR":
            raise ValueError("no header chunk")
        return struct.unpack_from(">II", content, 16)
    if kind == "GIF":
        return struct.unpack_from("<HH", content, 6)
    chunk = content[12:16]
    if chunk == b"VP8X":
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk != b"VP8 ":
        raise ValueError("no picture chunk")
    width, height = struct.unpack_from("<HH", content, 26)
    return width & 0x3FFF, height & 0x3FFF  # the upper two bits are a scale for display


def _jpeg_size(content: bytes, called: str) -> tuple[int, int]:
    """Width and height of the frame. Raises BadPicture when more scans follow than any
    encoder writes.
    """
    size, scans, at = None, 0, 2
    while scans <= MOST_SCANS and (marker := JPEG_MARKER.search(content, at)) and marker[1][0] != JPEG_END:
        at = marker.end()
        if marker[1][0] in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 3)
            size = width, height
        scans += marker[1][0] == JPEG_SCAN
        at += int.from_bytes(content[at : at + 2], "big")
    if scans > MOST_SCANS:
        raise BadPicture(
            f"{called} has more than {MOST_SCANS} scans, which no camera writes: save it again as an ordinary"
            " JPEG."
        )
    if size is None:
        raise ValueError("no frame")
    return size


def _check_size(width: int, height: int, called: str) -> None:
    if not (width and height):
        raise ValueError("no pixels")
    if max(width, height) > LONGEST_SIDE:
        raise BadPicture(
            f"{called} has {width:,} × {height:,} pixels, at most {LONGEST_SIDE:,} a side are read: make it"
            " smaller."
        )
    if width * height > MOST_PIXELS:
        megapixels = math.ceil(width * height / 100_000) / 10
        limit = MOST_PIXELS // 1_000_000
        raise BadPicture(
            f"{called} has {width:,} × {height:,} pixels, {megapixels} megapixels, at most {limit} are read:"
            " make it smaller."
        )


def _decoded(content: bytes, kind: str, called: str, side: int | None) -> Photograph:
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=(kind,)) as picture:
        width, height = picture.size
        # a second header, or a frame beyond the screen, may have changed it
        _check_size(width, height, called)
        share = min(1.0, (side or LONGEST_SIDE) / max(width, height))
        shrunk = max(1, round(width * share)), max(1, round(height * share))
        # a JPEG's cosines give a half, a quarter or an eighth of the size for less work
        picture.draft("RGB", shrunk)
        picture.load()
        opaque = _opaque(picture)
        orientation = _orientation(picture)
        if opaque.size != shrunk:
            opaque = opaque.resize(shrunk, Image.Resampling.BILINEAR)
        if orientation in UPRIGHT:
            opaque = opaque.transpose(Image.Transpose[UPRIGHT[orientation]])
        pixels = np.asarray(opaque if opaque.mode == "RGB" else opaque.convert("RGB"))
    return Photograph(pixels, (height, width) if orientation >= 5 else (width, height))


def _opaque(picture: "Image.Image") -> "Image.Image":
    """The same picture in mode L or RGB, on white where it is transparent."""
    from PIL import Image

    if picture.mode == "I;16":
        return Image.fromarray(_eight_bits(np.asarray(picture), picture.info.get("transparency")))
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        sheet = Image.new("RGB", layer.size, "white")
        sheet.paste(layer, mask=layer)
        return sheet
    if picture.mode in ("L", "RGB"):
        return picture  # a copy would be three more bytes a pixel
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _eight_bits(grey: np.ndarray, transparent: int | None) -> np.ndarray:
    """16-bit grey (h, w) as uint8: white is the full range of the least bit depth that
    holds the brightest pixel, so that scanners' 12 bits show.
    """
    brightest = int(grey.max())
    white = next(top for top in (255, 1023, 4095, 16383, 65535) if brightest <= top)
    shades = np.rint(np.minimum(np.arange(65536) / white, 1.0) * 255).astype(np.uint8)
    if transparent is not None:
        shades[transparent] = 255
    return shades[grey]


def _orientation(picture: "Image.Image") -> int:
    """EXIF's orientation, 1–8; 1 (upright) where there is none, or none that can be
    read.
    """
    from PIL import ExifTags

    with suppress(Exception):  # broken metadata break Pillow in as many ways as broken pixels do
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
        if orientation in UPRIGHT:
            return orientation
    return 1


def _plain_character(character: str) -> str:
    """The character itself where it is letter, digit, picture or plain punctuation; a
    space for any space, nothing for control, else `_`.
    """
    kind = unicodedata.category(character)
    if character.isspace() or kind[0] == "Z":
        return " "
    if kind[0] == "C":
        return ""
    return character if kind[0] in "LMN" or kind == "So" or character in ".,-_+()'=!%;…" else "_"
