"""What an image file states about itself, read without a decoder: its format, and its
width and height.
"""

import re
import struct

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
JPEG_END, JPEG_SCAN = 0xD9, 0xDA


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


def stated_size(content: bytes, kind: str) -> tuple[int, int]:
    """Width and height in pixels that the header of a `kind` file states.

    Raises struct.error or ValueError where it states none, and TooManyScans.
    """
    if kind == "JPEG":
        return _jpeg_size(content)
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


def _jpeg_size(content: bytes) -> tuple[int, int]:
    size, scans, at = None, 0, 2
    while scans <= MAX_SCANS and (marker := JPEG_MARKER.search(content, at)) and marker[1][0] != JPEG_END:
        at = marker.end()
        if marker[1][0] in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 3)
            size = width, height
        scans += marker[1][0] == JPEG_SCAN
        at += int.from_bytes(content[at : at + 2], "big")
    if scans > MAX_SCANS:
        raise TooManyScans
    if size is None:
        raise ValueError("no frame")
    return size
