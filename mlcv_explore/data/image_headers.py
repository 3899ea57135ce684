"""What an image file states about itself, read without a decoder: its format, its size,
and where its metadata lie.
"""

import re
import struct
import zlib
from dataclasses import dataclass

MAX_PARTS = 100_000  # segments of a JPEG, chunks of a PNG: 24 MB in parts of 240 bytes
MAX_SCANS = 100  # progressive encoders write about ten; each costs a pass over the whole image
SIGNATURES = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n", "GIF": (b"GIF87a", b"GIF89a")}
OTHER_FORMATS = {
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"II+\0": "a TIFF image",
    b"MM\0+": "a TIFF image",
    b"8BPS": "a Photoshop document",
    b"%!PS": "an EPS drawing",
    b"\xc5\xd0\xd3\xc6": "an EPS drawing",
    b"%PDF": "a PDF document",
    b"BM": "a BMP image",
    b"\xff\x0a": "a JPEG XL image",
    b"\0\0\0\x0cJXL ": "a JPEG XL image",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 image",
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "a compressed file",
}
AVIF_BRANDS = {b"avif", b"avis"}
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
# A marker that a length follows: no stuffed byte, restart, start of image or TEM
JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
JPEG_END, JPEG_SCAN = 0xD9, 0xDA
PNG_METADATA = (b"iCCP", b"tEXt", b"zTXt", b"iTXt")
ORIENTATION_TEXTS = (b"XML:com.adobe.xmp", b"Raw profile type exif")  # they may state an orientation
MAX_TEXT = 1 << 20  # bytes of such a text once unpacked


class TooManyScans(ValueError):
    """A JPEG with more than MAX_SCANS scans."""


def format_of(content: bytes) -> str | None:
    """Pillow's name of the format by the first bytes: JPEG, PNG, GIF or WEBP; None for
    any other.
    """
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WEBP"
    return next((name for name, signature in SIGNATURES.items() if content.startswith(signature)), None)


def describe_other(content: bytes) -> str:
    """What a file of another format is, with its article."""
    if content[4:8] == b"ftyp":
        brands = {content[at : at + 4] for at in range(8, min(int.from_bytes(content[:4], "big"), 256), 4)}
        if brands & AVIF_BRANDS:
            return "an AVIF image"
        return "a HEIC image" if brands & HEIC_BRANDS else "a video"
    text = content[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<") and (b"<svg" in text or b"<html" in text or b"<!doctype html" in text):
        return "an SVG drawing" if b"<svg" in text and b"<html" not in text else "a web page"
    known = (name for prefix, name in OTHER_FORMATS.items() if content.startswith(prefix))
    return next(known, "not an image of a known format")


@dataclass(frozen=True)
class JpegHeader:
    """What the markers of a JPEG state."""

    width: int
    height: int
    # whether it is decoded row by row; otherwise a decoder holds all its coefficients
    one_pass: bool
    length: int  # bytes up to the end marker; phones hang a video or a second image behind it


def stated_size(content: bytes, kind: str) -> tuple[int, int]:
    """Width and height in pixels that the header of a PNG, GIF or WEBP file states.

    Raises struct.error or ValueError where it states none.
    """
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
        raise ValueError("no image chunk")
    width, height = struct.unpack_from("<HH", content, 26)
    return width & 0x3FFF, height & 0x3FFF  # the upper two bits are a scale for display


def jpeg_header(content: bytes) -> JpegHeader:
    """The size, kind and length of a JPEG.

    Raises struct.error or ValueError where it states no size or has more than MAX_PARTS
    segments, and TooManyScans.
    """
    size, one_pass, components, scans, parts, at = None, True, 0, 0, 0, 2
    while scans <= MAX_SCANS and (marker := JPEG_MARKER.search(content, at)):
        kind, at = marker[1][0], marker.end()
        if kind == JPEG_END:
            break
        if kind in JPEG_FRAMES:
            height, width, components = struct.unpack_from(">HHB", content, at + 3)
            size, one_pass = (width, height), kind not in JPEG_PROGRESSIVE
        elif kind == JPEG_SCAN:
            # a scan of fewer components than the frame has is one of several
            one_pass = one_pass and content[at + 2 : at + 3] == bytes([components])
            scans += 1
        at, parts = at + int.from_bytes(content[at : at + 2], "big"), parts + 1
        if parts > MAX_PARTS:
            raise ValueError("too many segments")
    else:
        at = len(content)  # no end marker
    if scans > MAX_SCANS:
        raise TooManyScans
    if size is None:
        raise ValueError("no frame")
    return JpegHeader(*size, one_pass, at)


def without_metadata(content: bytes) -> bytes:
    """A PNG without its colour profile and its texts, which a decoder would unpack.

    The first text of each kind that may state an orientation stays where it unpacks to
    at most MAX_TEXT bytes. What is cut off or damaged stays so. Raises ValueError where
    there are more than MAX_PARTS chunks.
    """
    kept, at, wanted, kind = [content[:8]], 8, set(ORIENTATION_TEXTS), b""
    for _ in range(MAX_PARTS):
        if at >= len(content) or kind == b"IEND":
            return b"".join(kept)
        kind, end = content[at + 4 : at + 8], at + 12 + int.from_bytes(content[at : at + 4], "big")
        if kind in PNG_METADATA:
            keyword = content[at + 8 : at + 8 + 80].partition(b"\0")[0]
            text = content[at + 8 : end - 4]
            if kind == b"iCCP" or keyword not in wanted or not _unpacks_to_little(kind, text):
                at = end
                continue
            wanted.remove(keyword)
        kept.append(content[at:end])
        at = end
    raise ValueError("too many chunks")


def _unpacks_to_little(kind: bytes, text: bytes) -> bool:
    """Whether the content of a text chunk is at most MAX_TEXT bytes, once unpacked."""
    rest = text.partition(b"\0")[2]
    if kind == b"zTXt":
        packed = rest[1:]
    elif kind == b"iTXt" and rest[:1] == b"\1":
        packed = rest[2:].split(b"\0", 2)[-1]  # behind language and translated keyword
    else:
        return len(rest) <= MAX_TEXT
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(packed, MAX_TEXT)
    except zlib.error:
        return False
    return not unpacking.unconsumed_tail
