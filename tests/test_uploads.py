"""Uploads: every kind of file is decoded to the right pixels or rejected in one
sentence, and maps find their way back.
"""

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from mlcv_explore.charts import images
from mlcv_explore.data import drawings, gallery, uploads
from mlcv_explore.data.drawings import digit_from_image, digit_from_ink, read_digit
from mlcv_explore.data.uploads import BadImage, read, resized_to_square, shown_name, upsampled
from mlcv_explore.seeds import numpy_stream

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def colours(height: int = 6, width: int = 9) -> np.ndarray:
    return numpy_stream(0, "photograph").integers(0, 256, (height, width, 3)).astype(np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    """A image that JPEG keeps to a few grey levels: slow slopes in each channel."""
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.rint(255 * np.stack([down, across, (down + across) / 2], axis=-1)).astype(np.uint8)


def saved(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *between: bytes) -> bytes:
    """A PNG by hand; `rows` are the raw scan lines with their filter bytes, `between`
    the chunks before them.
    """
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(between)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def exif(orientation: int) -> bytes:
    record = Image.Exif()
    record[0x0112] = orientation
    record[0x010F] = "A camera maker"
    return record.tobytes()


def flat_png(side: int) -> bytes:
    """An honest grey PNG of one shade, written row by row so that the test itself stays
    small.
    """
    squeezer = zlib.compressobj(9)
    packed = b"".join(squeezer.compress(b"\0" + bytes(side)) for _ in range(side)) + squeezer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated: a few bytes a scan, a pass over
    all pixels each.
    """
    whole = saved(smooth(16, 16), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * count + whole[-2:]


def moving(kind: str) -> bytes:
    frames = [Image.new("RGB", (8, 6), colour) for colour in (RED, GREEN, BLUE)]
    return saved(
        frames[0],
        kind,
        save_all=True,
        append_images=frames[1:],
        duration=50,
        **({"lossless": True} if kind == "WEBP" else {}),
    )


def palette_with_hole() -> bytes:
    image = Image.new("P", (4, 2), 0)
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    return saved(image, "PNG", transparency=0)  # all that is red


def svg(*_: object) -> bytes:
    return b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def heic(brand: bytes = b"heic", *others: bytes) -> bytes:
    return struct.pack(">I", 16 + 4 * len(others)) + b"ftyp" + brand + bytes(4) + b"".join(others) + bytes(50)


def row(*pixels: tuple[int, ...], form: str = "B") -> bytes:
    return b"\0" + b"".join(struct.pack(f">{len(pixel)}{form}", *pixel) for pixel in pixels)


GOOD: dict[str, tuple[Callable[[], bytes], Callable[[], np.ndarray]]] = {
    "png": (lambda: saved(colours(), "PNG"), colours),
    "lossless webp": (lambda: saved(colours(), "WEBP", lossless=True), colours),
    "1 × 1": (lambda: saved(np.full((1, 1, 3), 7, np.uint8), "PNG"), lambda: np.full((1, 1, 3), 7)),
    "1 × 1 gif": (lambda: saved(np.full((1, 1), 7, np.uint8), "GIF"), lambda: np.full((1, 1, 3), 7)),
    "grey": (lambda: saved(colours()[..., 0], "PNG"), lambda: np.repeat(colours()[..., :1], 3, axis=2)),
    "1 bit": (
        lambda: png(10, 1, 1, 0, b"\0\xaa\x40"),
        lambda: np.array([[WHITE, BLACK] * 4 + [BLACK, WHITE]]),
    ),
    "palette with transparency": (
        palette_with_hole,
        lambda: np.array([[WHITE, BLUE, WHITE, WHITE], [WHITE] * 4]),
    ),
    "palette with half transparency": (
        lambda: png(
            2, 1, 8, 3, b"\0\0\1", chunk(b"PLTE", bytes(RED + BLUE)), chunk(b"tRNS", bytes([51, 255]))
        ),
        lambda: np.array([[(255, 204, 204), BLUE]]),  # a fifth of red on white
    ),
    "grey with alpha": (
        lambda: png(3, 1, 8, 4, row((0, 255), (0, 51), (9, 0))),
        lambda: np.array([[BLACK, (204,) * 3, WHITE]]),
    ),
    "colours with alpha": (
        lambda: png(3, 1, 8, 6, row((*RED, 255), (*GREEN, 102), (1, 2, 3, 0))),
        lambda: np.array([[RED, (153, 255, 153), WHITE]]),
    ),
    "one colour transparent": (
        lambda: png(2, 1, 8, 2, row(RED, BLUE), chunk(b"tRNS", bytes((0, 255, 0, 0, 0, 0)))),
        lambda: np.array([[WHITE, BLUE]]),
    ),
    "12 bits in 16": (
        lambda: png(3, 1, 16, 0, row((0,), (2048,), (4095,), form="H")),
        lambda: np.array([[BLACK, (128,) * 3, WHITE]]),
    ),
    "16 bits": (
        lambda: png(3, 1, 16, 0, row((0,), (32768,), (65535,), form="H")),
        lambda: np.array([[BLACK, (128,) * 3, WHITE]]),
    ),
    "8 bits in 16": (
        lambda: png(2, 1, 16, 0, row((3,), (255,), form="H")),
        lambda: np.array([[(3,) * 3, WHITE]]),
    ),
    "one 16-bit shade transparent": (
        lambda: png(3, 1, 16, 0, row((0,), (4095,), (65535,), form="H"), chunk(b"tRNS", b"\0\0")),
        lambda: np.array([[WHITE, (16,) * 3, WHITE]]),
    ),
    "16 bits a colour": (
        lambda: png(2, 1, 16, 2, row((65535, 0, 0), (0, 0x8000, 0), form="H")),
        lambda: np.array([[RED, (0, 128, 0)]]),
    ),
    "moving gif": (lambda: moving("GIF"), lambda: np.full((6, 8, 3), RED)),
    "moving webp": (lambda: moving("WEBP"), lambda: np.full((6, 8, 3), RED)),
    "moving png": (lambda: moving("PNG"), lambda: np.full((6, 8, 3), RED)),
    "web page after the image": (
        lambda: saved(colours(), "PNG") + b"<html><script>alert(1)</script>",
        colours,
    ),
    "web page inside the image": (
        lambda: (
            saved(colours(), "PNG").replace(b"IDAT", b"IDAT", 1)[:33]
            + chunk(b"tEXt", b"Comment\0<script>alert(1)</script>")
            + saved(colours(), "PNG")[33:]
        ),
        colours,
    ),
    "metadata that cannot be read": (
        lambda: saved(colours(), "PNG", exif=b"Exif\0\0neither byte order"),
        colours,
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_every_kind_of_image_gives_its_pixels(case: str) -> None:
    content, expected = (build() for build in GOOD[case])
    photograph = read(content, side=None)
    assert photograph.pixels.dtype == np.uint8
    np.testing.assert_array_equal(photograph.pixels, expected)
    assert photograph.size == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(("mode", "quality"), [("RGB", 95), ("CMYK", 95), ("L", 95)])
def test_a_jpeg_gives_nearly_its_pixels(mode: str, quality: int, progressive: bool) -> None:
    image = Image.fromarray(smooth(40, 70)).convert(mode)
    photograph = read(
        saved(image, "JPEG", quality=quality, subsampling=0, progressive=progressive), side=None
    )
    difference = photograph.pixels.astype(int) - np.asarray(image.convert("RGB"))
    assert np.abs(difference).mean() < 2 and np.abs(difference).max() < 12


def oriented(upright: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores: EXIF states on which sides of the scene its row 0 and its
    column 0 lie.
    """
    row_0, column_0 = [("top", "left"), ("top", "right"), ("bottom", "right"), ("bottom", "left")][
        (orientation - 1) % 4
    ]
    if orientation >= 5:  # row 0 is the scene's left or right side
        row_0, column_0 = [("left", "top"), ("right", "top"), ("right", "bottom"), ("left", "bottom")][
            orientation - 5
        ]
        upright = upright.swapaxes(0, 1)
    stored = upright if row_0 in ("top", "left") else upright[::-1]
    return stored if column_0 in ("left", "top") else stored[:, ::-1]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_image_comes_upright(orientation: int, kind: str) -> None:
    scene = smooth(24, 40) if kind == "JPEG" else colours(5, 8)
    options = {"PNG": {}, "WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}[kind]
    photograph = read(
        saved(np.ascontiguousarray(oriented(scene, orientation)), kind, exif=exif(orientation), **options)
    )
    assert photograph.size == (scene.shape[1], scene.shape[0])
    assert np.abs(photograph.pixels.astype(int) - scene).max() <= (8 if kind == "JPEG" else 0)


@pytest.mark.parametrize("orientation", [0, 9, 4711])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    np.testing.assert_array_equal(read(saved(colours(), "PNG", exif=exif(orientation))).pixels, colours())


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_turned_image_is_shrunk_upright_and_keeps_its_size(kind: str) -> None:
    scene = smooth(1600, 1000)
    photograph = read(saved(np.ascontiguousarray(oriented(scene, 6)), kind, exif=exif(6)), side=400)
    assert photograph.size == (1000, 1600) and photograph.pixels.shape == (400, 250, 3)
    means = scene.reshape(400, 4, 250, 4, 3).mean((1, 3))
    assert np.abs(photograph.pixels - means).max() < 6


@pytest.mark.parametrize(
    ("width", "height", "side", "expected"),
    [(3000, 1, 1024, (1, 1024)), (1, 3000, 10, (10, 1)), (1001, 1000, 2, (2, 2)), (30, 20, 1024, (20, 30))],
)
def test_no_side_is_longer_than_the_limit_and_none_vanishes(
    width: int, height: int, side: int, expected: tuple[int, int]
) -> None:
    photograph = read(saved(Image.new("RGB", (width, height), BLUE), "PNG"), side=side)
    assert photograph.pixels.shape == (*expected, 3) and photograph.size == (width, height)
    assert (photograph.pixels == BLUE).all()


def test_stripes_finer_than_a_pixel_become_grey_and_do_not_alias() -> None:
    stripes = np.zeros((64, 2048, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(read(saved(stripes, "PNG"), side=500).pixels[:, 2:-2].astype(int) - 127).max() <= 6


LARGE = saved(colours(), "PNG")
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty"),
    "a byte too much": (
        lambda: LARGE + bytes(uploads.MAX_BYTES + 1 - len(LARGE)),
        r"has 24\.1 MB, at most 24 MB",
    ),
    "random bytes": (lambda: numpy_stream(0, "noise").bytes(5000), "not an image of a known format"),
    "text": (lambda: b"hello", "not an image of a known format"),
    "svg": (svg, "is an SVG drawing, only"),
    "svg with a byte order mark": (lambda: b"\xef\xbb\xbf  <svg/>", "is an SVG drawing, only"),
    "web page": (lambda: b"<!DOCTYPE html><html><svg></svg></html>", "is a web page"),
    "svg behind a PNG signature": (lambda: b"\x89PNG\r\n\x1a\n" + svg(), "begins like a PNG image but"),
    "svg behind a WebP signature": (lambda: b"RIFF\xff\0\0\0WEBP" + svg(), "begins like a WEBP image but"),
    "web page behind a JPEG signature": (
        lambda: b"\xff\xd8\xff\xe0<html><script>alert(1)</script></html>",
        "begins like a JPEG image but",
    ),
    "web page behind a GIF signature": (
        lambda: b"GIF89a/*<html><script>alert(1)</script></html>",
        "begins like a GIF image but|pixels",
    ),
    "tiff": (lambda: saved(colours(), "TIFF"), "is a TIFF image"),
    "big-endian tiff": (lambda: b"MM\0*" + bytes(20), "is a TIFF image"),
    "psd": (lambda: b"8BPS\0\1" + bytes(40), "is a Photoshop document"),
    "eps": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "is an EPS drawing"),
    "pdf": (lambda: b"%PDF-1.7\n", "is a PDF document"),
    "bmp": (lambda: saved(colours(), "BMP"), "is a BMP image"),
    "heic": (heic, "is a HEIC image, only .*: save it as JPEG"),
    "heif of several": (lambda: heic(b"mif1", b"miaf", b"heic"), "is a HEIC image"),
    "avif": (lambda: heic(b"mif1", b"avif"), "is an AVIF image"),
    "video": (lambda: heic(b"isom", b"mp42"), "is a video"),
    "header only": (lambda: LARGE[:33], "PNG image but is cut off"),
    "png in half": (lambda: LARGE[: len(LARGE) // 2], "PNG image but is cut off"),
    "jpeg in half": (
        lambda: (whole := saved(smooth(200, 200), "JPEG"))[: len(whole) // 2],
        "JPEG image but is cut off",
    ),
    "gif in half": (
        lambda: (whole := saved(colours(60, 60), "GIF"))[: len(whole) // 2],
        "GIF image but is cut off",
    ),
    "webp in half": (
        lambda: (whole := saved(colours(60, 60), "WEBP"))[: len(whole) // 2],
        "WEBP image but is cut off",
    ),
    "jpeg without a frame": (lambda: b"\xff\xd8\xff\xd9", "JPEG image but is cut off"),
    "no width": (lambda: png(0, 5, 8, 0, b"\0" * 5), "PNG image but is cut off"),
    "bomb of 40,000 a side": (
        lambda: png(40_000, 40_000, 8, 0, bytes(100_000)),
        "has 40,000 × 40,000 pixels, at most 12,000 a side",
    ),
    "honest 9,000 × 9,000": (
        lambda: flat_png(9000),
        r"has 9,000 × 9,000 pixels, 81\.0 megapixels, at most 25 are read",
    ),
    "one row too many": (lambda: png(5000, 5001, 8, 0, b""), r"25\.1 megapixels, at most 25"),
    "one pixel too wide": (lambda: png(12_001, 1, 8, 0, bytes(12_002)), "at most 12,000 a side"),
    "a second header": (
        lambda: png(
            2, 2, 8, 0, bytes(6), chunk(b"IHDR", struct.pack(">IIBBBBB", 12_000, 12_000, 8, 0, 0, 0, 0))
        ),
        "144.0 megapixels|PNG image but",
    ),
    "jpeg that states 65,500 a side": (
        lambda: (
            (whole := saved(smooth(16, 16), "JPEG"))[: (at := whole.index(b"\xff\xc0") + 5)]
            + b"\xff\xdc\xff\xdc"
            + whole[at + 4 :]
        ),
        "has 65,500 × 65,500 pixels",
    ),
    "webp that states 16,000 a side": (
        lambda: saved(Image.new("RGB", (16_000, 1)), "WEBP"),
        "has 16,000 × 1 pixels, at most 12,000",
    ),
    "lossless webp that states 16,000 a side": (
        lambda: saved(Image.new("RGB", (2, 16_000)), "WEBP", lossless=True),
        "has 2 × 16,000 pixels",
    ),
    "moving webp that states 2²⁴ a side": (
        lambda: (whole := moving("WEBP"))[:24] + b"\xff" * 6 + whole[30:],
        "has 16,777,216 × 16,777,216 pixels",
    ),
    "gif of 65,535 a side": (
        lambda: (whole := saved(colours(), "GIF"))[:6] + b"\xff" * 4 + whole[10:],
        "has 65,535 × 65,535 pixels",
    ),
    "gif frame beyond its screen": (
        lambda: (
            (whole := saved(colours(), "GIF", interlace=0))[: (at := whole.rindex(b",\0\0\0\0") + 5)]
            + b"\xff\x2e" * 2
            + whole[at + 4 :]
        ),
        "has 12,031 × 12,031 pixels",
    ),
    "a thousand scans": (lambda: many_scans(1000), "has more than 100 scans"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("case", BAD)
def test_every_other_file_is_refused_in_one_sentence(case: str) -> None:
    build, sentence = BAD[case]
    with pytest.raises(BadImage, match=sentence) as refusal:
        read(build(), "holiday.jpg")
    text = str(refusal.value)
    assert text.startswith("holiday.jpg ") and text.endswith(".") and text.isprintable()
    assert len(text) < 160 and ": " in text, "it states what to do"


@pytest.mark.parametrize(
    "case", ["an honest 5,000 × 5,000", "a side of 12,000", "24 megabytes", "a hundred scans"]
)
def test_what_lies_on_the_limit_is_read(case: str) -> None:
    build = {
        "an honest 5,000 × 5,000": lambda: flat_png(5000),
        "a side of 12,000": lambda: png(12_000, 1, 8, 0, bytes(12_001)),
        "24 megabytes": lambda: LARGE + bytes(uploads.MAX_BYTES - len(LARGE)),
        "a hundred scans": lambda: many_scans(
            100 - saved(smooth(16, 16), "JPEG", progressive=True).count(b"\xff\xda") + 1
        ),
    }[case]
    assert max(read(build(), side=64).pixels.shape) <= 64


@pytest.mark.parametrize("where", ["inside", "behind"])
def test_other_examplesin_a_jpeg_are_neither_its_size_nor_its_scans(where: str) -> None:
    """Thumbnails lie in an application segment; phones hang a video behind the end."""
    frame_and_scans = b"\xff\xc0\0\x08\x08\xff\xdc\xff\xdc\x03" + b"\xff\xda\0\2" * 200
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(frame_and_scans)) + frame_and_scans
    whole = saved(smooth(30, 50), "JPEG", restart_marker_blocks=1)
    assert whole.count(b"\xff\xd0"), "a restart has no length: what follows it must not be skipped"
    content = whole[:2] + segment + whole[2:] if where == "inside" else whole + frame_and_scans * 200
    np.testing.assert_array_equal(read(content).pixels, read(whole).pixels)


def test_the_display_size_of_a_webp_is_not_its_size() -> None:
    """The upper two bits of width and of height only scale for display."""
    whole = saved(smooth(6, 9), "WEBP")
    scaled = whole[:27] + bytes([whole[27] | 0xC0, whole[28], whole[29] | 0xC0]) + whole[30:]
    assert read(scaled).size == (9, 6)
    np.testing.assert_array_equal(read(scaled).pixels, read(whole).pixels)


def test_refusals_do_not_wait_for_a_decoder_and_decoding_does() -> None:
    bombs = [
        BAD[case][0]()
        for case in BAD
        if any(word in case for word in ("a side", "states", "honest", "scans", "behind", "wide", "empty"))
    ]

    def refused(content: bytes) -> bool:
        with pytest.raises(BadImage):
            read(content)
        return True

    with ThreadPoolExecutor(1) as other:
        with uploads._decoding, uploads._decoding:
            assert all(other.submit(refused, bomb).result(timeout=20) for bomb in bombs)
            good = other.submit(read, LARGE)
            with pytest.raises(TimeoutError):
                good.result(timeout=0.1)
        np.testing.assert_array_equal(good.result(timeout=20).pixels, colours())


def test_a_refusal_gives_its_place_to_the_next() -> None:
    for _ in range(5):
        with pytest.raises(BadImage):
            read(LARGE[: len(LARGE) // 2])
    np.testing.assert_array_equal(read(LARGE).pixels, colours())


def test_threads_get_their_own_images() -> None:
    examples = [np.full((50, 40 + number, 3), number, np.uint8) for number in range(24)]
    contents = [
        saved(image, ("PNG", "WEBP")[number % 2], lossless=True) for number, image in enumerate(examples)
    ]
    start = threading.Barrier(6)

    def all_of(first: int) -> list[np.ndarray]:
        start.wait(20)
        return [read(content).pixels for content in contents[first::6]]

    with ThreadPoolExecutor(6) as threads:
        for first, results in enumerate(threads.map(all_of, range(6))):
            for result, image in zip(results, examples[first::6], strict=True):
                np.testing.assert_array_equal(result, image)


MEMORY = """
import resource, sys
from pathlib import Path
from mlcv_explore.data.uploads import BadImage, read

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024

folder = Path(sys.argv[1])
for kind in ("small.webp", "small.png"):
    read((folder / kind).read_bytes())
before = peak()
for bomb in sorted(folder.glob("bomb*")):
    try:
        read(bomb.read_bytes())
    except BadImage:
        continue
    raise SystemExit(f"{bomb.name} was read")
bombs = peak() - before
read((folder / "photograph.jpg").read_bytes())
photograph = peak() - before
read((folder / "large.jpg").read_bytes())
large = peak() - before
read((folder / "limit.png").read_bytes())
limit = peak() - before
_, hard = resource.getrlimit(resource.RLIMIT_AS)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (10 << 20), hard))
try:
    read((folder / "limit.png").read_bytes(), side=None)
    sentence = "read"
except BadImage as refusal:
    sentence = str(refusal)
print(bombs, photograph, large, limit, sentence, sep="|")
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory of one process is read from /proc"
)
def test_bombs_cost_no_memory_and_a_large_photograph_little(tmp_path: Path) -> None:
    (tmp_path / "small.png").write_bytes(LARGE)
    (tmp_path / "small.webp").write_bytes(saved(colours(), "WEBP"))
    for number, case in enumerate(
        name for name in BAD if "a side" in name or "honest" in name or "states" in name or "scans" in name
    ):
        (tmp_path / f"bomb{number}").write_bytes(BAD[case][0]())
    (tmp_path / "photograph.jpg").write_bytes(saved(smooth(3000, 4000), "JPEG"))
    (tmp_path / "large.jpg").write_bytes(saved(Image.new("L", (8064, 6048), 90), "JPEG"))
    (tmp_path / "limit.png").write_bytes(flat_png(5000))
    environment = {**os.environ, "PYTHONPATH": str(Path(uploads.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    bombs, photograph, large, limit, sentence = done.stdout.strip().split("|")
    assert float(bombs) < 8, "megabytes"
    assert float(photograph) < 40, "12 megapixels of three bytes are 36 MB; half the side is decoded"
    assert float(large) < 40, "48 megapixels are 49 MB in grey; a quarter of the side is decoded"
    assert float(limit) < 80
    assert sentence == "the image needs more memory than is free now: make it smaller, or try again later."


def test_nothing_is_written_and_nothing_but_pixels_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    secret = saved(colours(), "JPEG", exif=exif(1), comment=b"home address", icc_profile=b"profile of mine")
    photograph = read(secret, str(tmp_path / "secret.jpg"))
    with pytest.raises(BadImage, match=r"^passwd is empty"):
        read(b"", "../../etc/passwd")
    assert not list(tmp_path.iterdir())
    assert set(vars(photograph)) == {"pixels", "size", "notes"} and photograph.notes == ()
    assert not photograph.pixels.flags.writeable
    assert b"camera maker" in secret
    fresh = images.png(photograph.pixels)
    names, at = [], 8
    while at < len(fresh):
        names.append(fresh[at + 4 : at + 8])
        at += 12 + int.from_bytes(fresh[at : at + 4], "big")
    assert set(names) == {b"IHDR", b"IDAT", b"IEND"}
    np.testing.assert_array_equal(read(fresh).pixels, photograph.pixels)


SEEDS = [
    LARGE,
    saved(smooth(24, 24), "JPEG"),
    saved(smooth(24, 24), "JPEG", progressive=True, exif=exif(6)),
    saved(Image.fromarray(smooth(24, 24)).convert("CMYK"), "JPEG"),
    saved(colours(), "WEBP"),
    saved(colours(), "WEBP", lossless=True, exif=exif(3)),
    moving("GIF"),
    moving("WEBP"),
    moving("PNG"),
    palette_with_hole(),
    png(3, 1, 16, 0, row((0,), (2048,), (4095,), form="H")),
    saved(colours(), "PNG", exif=exif(8)),
]


def survives(content: bytes) -> None:
    """Pixels within the limits, or one sentence."""
    try:
        photograph = read(content, "upload.png", side=32)
    except BadImage as refusal:
        assert str(refusal).startswith("upload.png ") and str(refusal).isprintable()
    else:
        assert (
            photograph.pixels.dtype == np.uint8
            and photograph.pixels.ndim == 3
            and 1 <= max(photograph.pixels.shape[:2]) <= 32
        )


@given(
    st.binary(max_size=400),
    st.sampled_from([b"", *(seed[:40] for seed in SEEDS), b"<svg", b"\0\0\0\x18ftyp", b"\xff\xd8\xff"]),
)
@settings(max_examples=150)
def test_random_bytes_never_break_the_reader(noise: bytes, start: bytes) -> None:
    survives(start + noise)


@given(st.sampled_from(SEEDS), st.data())
@settings(max_examples=400)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore:.*:UserWarning")
def test_cut_and_flipped_files_never_break_the_reader(content: bytes, data: st.DataObject) -> None:
    broken = bytearray(
        content[: data.draw(st.integers(0, len(content)), label="length")]
        if data.draw(st.booleans(), label="cut")
        else content
    )
    for place in data.draw(st.lists(st.integers(0, 8 * len(content) - 1), max_size=6), label="bits"):
        if place // 8 < len(broken):
            broken[place // 8] ^= 1 << place % 8
    survives(bytes(broken))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat.jpg", "cat.jpg"),
        ("Mum's kätzchen (1).JPG", "Mum's kätzchen (1).JPG"),
        ("../../etc/passwd", "passwd"),
        ("C:\\examples\\cat.png", "cat.png"),
        ("../<b>cat</b>.png", "b_.png"),
        ("<img src=x onerror=alert(1)>.png", "_img src=x onerror=alert(1)_.png"),
        ("[click](javascript:x) `$\\alpha$` **b** :smile:.png", "alpha__ __b__ _smile_.png"),
        ("a\nb\tc\0d\x1b[31m.png", "a b cd_31m.png"),
        ("exe\u202egnp.cat", "exegnp.cat"),
        ("..", "the image"),
        ("", "the image"),
        ("\ud800\u200b", "the image"),
        ("x" * 300 + ".jpeg", "x" * 40 + "…" + "x" * 14 + ".jpeg"),
    ],
)
def test_a_name_is_shown_without_what_could_harm(name: str, shown: str) -> None:
    assert shown_name(name) == shown


@given(st.text(st.characters(), max_size=120))
@example("\ud800")
def test_a_shown_name_is_one_short_plain_line_and_shown_again_as_it_is(name: str) -> None:
    shown = shown_name(name)
    assert 1 <= len(shown) <= uploads.MAX_NAME and shown.isprintable()
    assert not set(shown) & set('<>&[]{}`"$*~|\\/:#^@')
    assert shown_name(shown) == shown and shown.encode()


def triangle(pixels: np.ndarray, side: int) -> np.ndarray:
    """The first axis, n → side, in double precision: each new value the mean of the old
    ones under a triangle two new pixels wide, n > side.
    """
    share = len(pixels) / side
    centres = (np.arange(side) + 0.5) * share
    weights = np.maximum(1 - np.abs(np.arange(len(pixels)) + 0.5 - centres[:, None]) / max(share, 1), 0)
    return np.tensordot(weights / weights.sum(1, keepdims=True), pixels, 1)


@pytest.mark.parametrize(
    ("height", "width", "side"), [(300, 451, 32), (64, 32, 32), (20, 333, 64), (7, 5, 32), (32, 32, 32)]
)
def test_the_whole_image_is_resized_by_a_triangle_filter(height: int, width: int, side: int) -> None:
    pixels = colours(height, width)
    square = resized_to_square(pixels, side)
    assert square.dtype == np.float32 and square.shape == (3, side, side) and square.flags.c_contiguous
    slow = triangle(triangle(pixels / 255, side).swapaxes(0, 1), side).swapaxes(0, 1)
    assert np.abs(square.transpose(1, 2, 0) - slow).max() <= 1.01 / 255, "rounded once an axis"
    if height == width == side:
        np.testing.assert_array_equal(square, (pixels.astype(np.float32) / 255).transpose(2, 0, 1))


def test_every_pixel_of_the_image_counts_in_the_square() -> None:
    """What is drawn at the far edge of a wide image shows at the square's edge:
    nothing is cropped.
    """
    pixels = np.zeros((40, 400, 3), np.uint8)
    pixels[:, -20:] = RED
    square = resized_to_square(pixels, 20)
    assert (square[0, :, -1] > 0.8).all() and (square[0, :, :-2] == 0).all() and (square[1:] == 0).all()


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((3, 4, 4), np.uint8)]
)
def test_only_examplesare_resized_to_square(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        resized_to_square(pixels, 2)


def test_a_map_is_upsampled_linearly_between_the_centres_of_its_cells() -> None:
    wide = upsampled(np.array([[0.0, 4.0]]), (8, 3))
    assert wide.dtype == np.float32 and wide.shape == (3, 8)
    np.testing.assert_allclose(wide, np.tile([0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4], (3, 1)), atol=1e-6)
    values = numpy_stream(0, "map").normal(size=(7, 7)).astype(np.float32)
    np.testing.assert_array_equal(upsampled(values, (7, 7)), values)


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.integers(0, 50))
def test_an_upsampled_map_keeps_its_range_and_is_linear(
    side: int, width: int, height: int, seed: int
) -> None:
    one, other = numpy_stream(seed, "maps").normal(size=(2, side, side))
    large = upsampled(one, (width, height))
    assert large.shape == (height, width)
    assert one.min() - 1e-6 <= large.min() and large.max() <= one.max() + 1e-6
    np.testing.assert_allclose(
        upsampled(2 * one - other, (width, height)), 2 * large - upsampled(other, (width, height)), atol=1e-5
    )
    np.testing.assert_allclose(upsampled(np.full((side, side), 0.3), (width, height)), 0.3, rtol=1e-6)


def test_a_map_lies_where_its_cause_lies_in_the_image() -> None:
    """Resized and upsampled back, the brightest place of a image is where it was."""
    pixels = np.zeros((300, 480, 3), np.uint8)
    pixels[205:215, 365:380] = 255
    back = upsampled(resized_to_square(pixels, 32).mean(0), (480, 300))
    down, across = np.unravel_index(back.argmax(), back.shape)
    assert 200 <= down < 220 and 360 <= across < 390


@pytest.mark.parametrize("values", [np.zeros(4), np.zeros((1, 4, 4)), np.zeros((0, 4))])
def test_only_maps_are_upsampled(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="map"):
        upsampled(values, (4, 4))


def test_the_gallery_reads_what_is_installed_and_names_its_makers() -> None:
    examples = gallery.photographs()
    assert {"cat", "flower", "pagoda"} <= set(examples)
    sizes = {name: image.read(None).size for name, image in examples.items()}
    assert sizes["cat"] == (451, 300) and sizes["flower"] == sizes["pagoda"] == (640, 427)
    assert min(side for size in sizes.values() for side in size) > 250
    for image in examples.values():
        assert image.author and image.licence in (
            "CC0",
            "CC BY 2.0",
            "public domain",
            "no known copyright restrictions",
        )
    assert max(examples["retina"].read().pixels.shape) == uploads.PAGE_SIDE, "of 1,411 a side"
    assert "flickr.com/photos/vultilion" in examples["flower"].path.with_name("README.txt").read_text()


def test_a_gallery_without_its_library_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gallery.FILES, "lost", ("skimage/data/no such file.png", "", "", ""))
    monkeypatch.setitem(gallery.FILES, "gone", ("no_such_library/cat.png", "", "", ""))
    assert not {"lost", "gone"} & set(gallery.photographs())


SHAPES = np.zeros((30, 20), bool)
SHAPES[3:27, 4:7] = SHAPES[20:24, 4:16] = True


def test_a_drawing_becomes_a_digit_wherever_it_stands() -> None:
    digit = digit_from_ink(SHAPES)
    assert digit.shape == (8, 8) and digit.min() == 0 and digit.max() == 1 and digit.dtype == np.float64
    np.testing.assert_array_equal(digit_from_ink(np.pad(SHAPES, 13)), digit)
    assert digit_from_ink(np.zeros((5, 5), bool)) is None
    assert digit_from_ink(np.ones((1, 1), bool)).min() == 1
    assert digit_from_ink(SHAPES, 16).shape == (16, 16)
    quarter = np.zeros((32, 32), bool)
    quarter[::2, ::2] = quarter[-1, -1] = True  # the corner keeps the crop at 32 × 32
    np.testing.assert_array_equal(digit_from_ink(quarter)[:7, :7], 0.25)


def test_a_photographed_digit_is_read_dark_on_light_and_light_on_dark() -> None:
    ink = np.repeat(SHAPES[..., None], 3, axis=2)
    dark, light = (
        digit_from_image(np.where(ink, one, other).astype(np.uint8)) for one, other in ((20, 230), (240, 15))
    )
    np.testing.assert_array_equal(dark, light)
    np.testing.assert_array_equal(dark, digit_from_ink(SHAPES))
    assert digit_from_image(np.full((6, 6, 3), 90, np.uint8)) is None
    photograph = images.png(np.where(ink, 20, 230).astype(np.uint8))
    digit = read_digit(photograph, "digit.png")
    np.testing.assert_array_equal(digit.values, dark)
    assert (digit.description, digit.notes) == (
        "digit.png",
        ("cropped to its ink", drawings.INVERTED, "reduced to 8 × 8 pixels"),
    )
    chalk = images.png(np.where(ink, 240, 15).astype(np.uint8))
    assert read_digit(chalk, "chalk.png", 16).notes == ("cropped to its ink", "reduced to 16 × 16 pixels")
    for content, reason in (
        (images.png(np.full((6, 6, 3), 90, np.uint8)), "only one colour"),
        (b"<svg/>", "JPEG"),
    ):
        with pytest.raises(BadImage, match=reason):
            read_digit(content, "digit.png")
