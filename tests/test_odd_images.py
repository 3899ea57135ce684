"""Photographs as people have them: what cameras, scanners and editors hang onto the
pixels, and what the reader says it did to them.
"""

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from mlcv_explore.charts import PALETTES, images
from mlcv_explore.command import main
from mlcv_explore.data import folder as image_folder
from mlcv_explore.data import image_headers, mask_files, uploads
from mlcv_explore.data.uploads import BadImage, read, read_file, size_of_map
from mlcv_explore.models import classifiers
from mlcv_explore.seeds import numpy_stream, seeded

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MILLIONS = 2_000_000  # bytes of a profile or a text


def saved(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def noise(height: int, width: int) -> np.ndarray:
    return numpy_stream(0, "odd images").integers(0, 256, (height, width, 3)).astype(np.uint8)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 9 × 6 pixels with these chunks behind its header."""
    whole = saved(noise(6, 9), "PNG")
    return whole[:33] + b"".join(chunk(*known) for known in chunks) + whole[33:]


def grey_png(rows: list[list[int]], *between: bytes) -> bytes:
    """A 16-bit grey PNG."""
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 16, 0, 0, 0, 0)
    lines = b"".join(b"\0" + struct.pack(f">{len(row)}H", *row) for row in rows)
    return b"".join(
        (
            SIGNATURE,
            chunk(b"IHDR", header),
            *between,
            chunk(b"IDAT", zlib.compress(lines)),
            chunk(b"IEND", b""),
        )
    )


def with_exif(orientation: int) -> bytes:
    record = Image.Exif()
    record[0x0112] = orientation
    return record.tobytes()


def xmp(orientation: int, padding: int = 0) -> bytes:
    return b'<x:xmpmeta tiff:Orientation="%d"/>' % orientation + b" " * padding


METADATA = {
    "profile that packs well": (b"iCCP", b"profile\0\0" + zlib.compress(bytes(MILLIONS))),
    "profile that does not": (b"iCCP", b"p\0\0" + zlib.compress(numpy_stream(0, "p").bytes(MILLIONS))),
    "text": (b"tEXt", b"Comment\0" + b"a" * MILLIONS),
    "packed text": (b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * MILLIONS)),
    "international text": (b"iTXt", b"Comment\0\1\0en\0\0" + zlib.compress(b"a" * MILLIONS)),
    "packed XMP": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(6, MILLIONS))),
    "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6, MILLIONS)),
    "packed EXIF": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"0" * MILLIONS)),
    "XMP that is none": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + b"not packed"),
}


@pytest.mark.parametrize("case", METADATA)
def test_two_megabytes_of_metadata_do_not_keep_a_png_from_being_read(case: str) -> None:
    np.testing.assert_array_equal(read(png_with(METADATA[case])).pixels, noise(6, 9))
    np.testing.assert_array_equal(read(png_with(*[METADATA[case]] * 2)).pixels, noise(6, 9))


def test_a_hundred_packed_texts_are_not_unpacked() -> None:
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(1_000_000))
    np.testing.assert_array_equal(read(png_with(*[(b"iTXt", text)] * 100)).pixels, noise(6, 9))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_file_of_a_million_empty_parts_is_refused(kind: str) -> None:
    part, at = {"PNG": (chunk(b"abCd", b""), 33), "JPEG": (b"\xff\xe5\0\2", 2)}[kind]
    whole = saved(noise(6, 9), kind)
    np.testing.assert_array_equal(
        read(whole[:at] + part * 1000 + whole[at:]).pixels, read(whole).pixels, "a thousand are read"
    )
    with pytest.raises(BadImage, match="cut off or damaged"):
        read(whole[:at] + part * 1_000_000 + whole[at:])


@pytest.mark.parametrize(
    "metadata",
    [
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6)),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(6))),
        (
            b"zTXt",
            b"Raw profile type exif\0\0"
            + zlib.compress(b"\nexif\n      1\n" + with_exif(6).hex().encode() + b"\n"),
        ),
        (b"eXIf", with_exif(6)[6:]),
    ],
    ids=["XMP", "packed XMP", "packed EXIF", "EXIF"],
)
def test_a_png_is_turned_by_its_metadata_however_they_are_written(metadata: tuple[bytes, bytes]) -> None:
    content = png_with((b"iCCP", b"profile\0\0" + zlib.compress(bytes(MILLIONS))), metadata)
    image = read(content)
    np.testing.assert_array_equal(image.pixels, np.rot90(noise(6, 9), -1))
    assert image.size == (6, 9) and image.notes == ("turned upright by its EXIF orientation",)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((1000, 1100, 1200), (0, 128, 255)),
        ((60_000, 60_255, 60_510), (0, 128, 255)),
        ((0, 1, 2), (0, 128, 255)),
        ((700, 955), (0, 255)),  # 255 of 10 bits: a little less than a fourth
    ],
)
def test_a_narrow_range_of_16_bits_is_stretched_and_said(
    values: tuple[int, ...], shown: tuple[int, ...]
) -> None:
    image = read(grey_png([list(values)]))
    assert tuple(image.pixels[0, :, 0]) == shown
    assert image.notes == (f"16-bit grey stretched: {values[0]:,} is black, {values[-1]:,} is white",)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0, 2048, 4095), (0, 128, 255)),
        ((700, 956), (174, 238)),  # a little more than a fourth of 10 bits
        ((1000, 1000), (249, 249)),
    ],
)
def test_a_wide_range_of_16_bits_and_a_single_value_are_not_stretched(
    values: tuple[int, ...], shown: tuple[int, ...]
) -> None:
    image = read(grey_png([list(values)]))
    assert tuple(image.pixels[0, :, 0]) == shown and image.notes == ()


def test_a_transparent_value_is_outside_the_range_that_is_stretched() -> None:
    image = read(grey_png([[0, 1000], [1050, 1100]], chunk(b"tRNS", b"\0\0")))
    np.testing.assert_array_equal(image.pixels[..., 0], [[255, 0], [128, 255]])
    assert image.notes == (
        "transparent parts shown on white",
        "16-bit grey stretched: 1,000 is black, 1,100 is white",
    )
    assert (read(grey_png([[7, 7]], chunk(b"tRNS", b"\0\7"))).pixels == 255).all()


def moving(kind: str, **options: object) -> bytes:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue", "green")]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def palette_with_hole() -> bytes:
    image = Image.new("P", (4, 2), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    return saved(image, "PNG", transparency=0)


NOTES: dict[str, tuple[Callable[[], bytes], tuple[str, ...]]] = {
    "moving gif": (lambda: moving("GIF"), ("first frame of an animation",)),
    "moving webp": (lambda: moving("WEBP"), ("first frame of an animation",)),
    "moving png": (lambda: moving("PNG"), ("first frame of an animation",)),
    "gif whose second frame is cut": (lambda: moving("GIF")[:-25], ("first frame of an animation",)),
    "one frame": (lambda: saved(noise(6, 9), "GIF"), ()),
    "two images of one camera": (lambda: moving("MPO"), ()),
    "palette with transparency": (palette_with_hole, ("transparent parts shown on white",)),
    "grey with alpha": (
        lambda: saved(Image.new("LA", (3, 3), (9, 100)), "PNG"),
        ("transparent parts shown on white",),
    ),
    "colours with alpha": (
        lambda: saved(Image.new("RGBA", (3, 3), (9, 9, 9, 254)), "PNG"),
        ("transparent parts shown on white",),
    ),
    "alpha that hides nothing": (lambda: saved(Image.new("RGBA", (3, 3), (9, 9, 9, 255)), "PNG"), ()),
    "cmyk": (
        lambda: saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"),
        ("CMYK colours shown without their profile",),
    ),
    "camera held upright": (
        lambda: saved(noise(6, 9), "JPEG", exif=with_exif(6)),
        ("turned upright by its EXIF orientation",),
    ),
    "camera held level": (lambda: saved(noise(6, 9), "JPEG", exif=with_exif(1)), ()),
}


@pytest.mark.parametrize("case", NOTES)
def test_the_reader_says_what_it_did_and_nothing_else(case: str) -> None:
    content, notes = NOTES[case][0](), NOTES[case][1]
    assert read(content).notes == notes


def test_cmyk_red_is_red() -> None:
    red = read(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")).pixels.astype(int)
    assert np.abs(red - (255, 0, 0)).max() <= 4


@pytest.mark.parametrize("size", [(40, 70), (41, 71)])
def test_a_jpeg_over_the_limit_of_other_formats_is_halved_while_it_is_decoded(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_PIXELS", 1000)
    down, across = np.mgrid[0 : 1 : size[0] * 1j, 0 : 1 : size[1] * 1j]
    scene = np.rint(255 * np.stack([down, across, across], axis=-1)).astype(np.uint8)
    image = read(saved(scene, "JPEG", quality=95, subsampling=0), side=None)
    assert image.size == size[::-1] and image.pixels.shape == ((size[0] + 1) // 2, (size[1] + 1) // 2, 3)
    pairs = scene[: size[0] // 2 * 2, : size[1] // 2 * 2].reshape(size[0] // 2, 2, size[1] // 2, 2, 3)
    means = pairs.mean((1, 3))
    assert np.abs(image.pixels[: len(means), : means.shape[1]] - means).max() < 8
    with pytest.raises(BadImage, match="megapixels"):
        read(saved(scene, "PNG"), side=None)


def test_a_mask_in_a_halved_jpeg_is_named_by_its_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_PIXELS", 2000)
    half = np.zeros((64, 64, 3), np.uint8)
    half[:, 32:] = 255
    colours = np.array([[0, 0, 0], [255, 0, 0]])
    mask = mask_files.read_mask(
        saved(half, "JPEG", quality=95), "mask.jpg", "cat", regions=("ground", "cat"), palette=colours, side=8
    )
    np.testing.assert_array_equal(mask.regions, np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 8, axis=0))
    assert "mask.jpg has 64 × 64 pixels" in mask.notes[0]


def stating(width: int, height: int, **options: object) -> bytes:
    """A small JPEG whose header states another size."""
    whole = saved(noise(16, 16), "JPEG", **options)
    at = next(whole.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in whole) + 5
    return whole[:at] + struct.pack(">HH", height, width) + whole[at + 4 :]


def test_a_progressive_jpeg_has_a_limit_of_its_own() -> None:
    for content, sentence in (
        (stating(8000, 7000, progressive=True), "56.0 megapixels, at most 50 are read of a progressive JPEG"),
        (stating(10_000, 8001), "80.1 megapixels, at most 80 are read: make it smaller."),
        (stating(20_001, 10), "has 20,001 × 10 pixels, at most 20,000 a side are read"),
    ):
        with pytest.raises(BadImage, match=r"^holiday\.jpg ") as refusal:
            read(content, "holiday.jpg")
        assert sentence in str(refusal.value)
    assert read(stating(8000, 7000)).size == (8000, 7000)


def test_a_jpeg_in_several_scans_is_not_decoded_in_one_pass() -> None:
    plain = saved(noise(16, 16), "JPEG")
    assert image_headers.jpeg_header(plain).one_pass
    assert not image_headers.jpeg_header(saved(noise(16, 16), "JPEG", progressive=True)).one_pass
    only = saved(noise(16, 16)[..., 0], "JPEG", progressive=True)  # every scan has all components: one
    assert not image_headers.jpeg_header(only).one_pass
    scan = plain.index(b"\xff\xda") + 4
    assert plain[scan] == 3, "components of the scan"
    assert not image_headers.jpeg_header(plain[:scan] + b"\1" + plain[scan + 1 :]).one_pass


def test_what_hangs_behind_a_jpeg_does_not_count_and_is_not_read(tmp_path: Path) -> None:
    whole = saved(noise(30, 50), "JPEG")
    video = b"\0\0\0\x18ftypmp42" + numpy_stream(0, "video").bytes(100_000)
    assert image_headers.jpeg_header(whole + video).length == len(whole)
    np.testing.assert_array_equal(read(whole + video).pixels, read(whole).pixels)
    long = whole + bytes(uploads.MAX_BYTES)
    np.testing.assert_array_equal(read(long).pixels, read(whole).pixels)
    file = tmp_path / "moving.jpg"
    file.write_bytes(whole + video)
    with file.open("r+b") as opened:
        opened.truncate(uploads.MAX_BYTES * 4)  # a hole: no bytes on disk
    np.testing.assert_array_equal(read_file(file).pixels, read(whole).pixels)
    before = whole[:2] + (b"\xff\xe5\xff\xff" + bytes(65_533)) * 400 + whole[2:]
    with pytest.raises(BadImage, match=r"has 25\.1 MB, at most 24 MB"):
        read(before)


def test_of_a_huge_file_only_so_much_is_read_and_its_size_is_named(tmp_path: Path) -> None:
    for name, start in (
        ("huge.png", saved(noise(6, 9), "PNG")),
        ("huge.jpg", saved(noise(6, 9), "JPEG")[:-2]),
    ):
        with (tmp_path / name).open("wb") as file:
            file.write(start)
            file.truncate(3 << 30)
        with pytest.raises(BadImage, match=rf"^{name} has 3072\.0 MB, at most 24 MB are read"):
            read_file(tmp_path / name)


def test_maps_are_drawn_at_the_images_size_up_to_twelve_megapixels() -> None:
    assert size_of_map((4000, 3000)) == (4000, 3000) and size_of_map((1, 1)) == (1, 1)
    width, height = size_of_map((8064, 6048))
    assert width * height <= 12_000_000 < (width + 2) * (height + 2)
    assert width / height == pytest.approx(8064 / 6048, abs=1e-3)


@pytest.mark.parametrize("signed", [True, False])
def test_a_large_map_is_coloured_in_strips_as_in_one(signed: bool) -> None:
    values = numpy_stream(0, "map").normal(size=(700, 900)).astype(np.float32)
    assert values.size > 2 * images.STRIP
    palette, top = PALETTES["light"], float(np.abs(values).max())
    whole = (
        images.signed(values, palette, top) if signed else images.amounts(np.abs(values), palette, 0.0, top)
    )
    np.testing.assert_array_equal(images.attribution(values, signed, palette), whole)


def test_a_folder_of_ones_own_holds_jfif_files_too(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "1.jfif").write_bytes(saved(noise(6, 9), "JPEG"))
    assert image_folder.is_image_folder(tmp_path)
    listing = image_folder.list_folder("mine", tmp_path)
    assert listing.size("train") == 2 and image_folder.first_image_shape(listing) == (3, 6, 9)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a small classifier `tiny` of one's own."""
    model = tmp_path / "models" / "tiny"
    model.mkdir(parents=True)
    card = {"architecture": "residual_classifier", "arguments": {"width": 4}, "classes": ["cat", "dog"]}
    card["input"] = {"size": 32, "mean": [0.5] * 3, "std": [0.25] * 3}
    network = seeded(0, lambda: classifiers.residual_classifier(4, 2, [0.5] * 3, [0.25] * 3))
    save_file(network.state_dict(), model / "weights.safetensors")
    (model / "card.json").write_text(json.dumps(card))
    monkeypatch.setenv("MLCV_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explained(capsys: pytest.CaptureFixture[str], name: str, *words: str) -> str:
    given = ["explain", name, "--model", "tiny", "--method", "edges", "--out", "heat.png", *words]
    assert main(given) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out


def test_the_heat_map_of_a_turned_photograph_is_upright_and_lies_on_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upright = np.full((90, 60, 3), 128, np.uint8)
    upright[:30, :20] = 255 * (np.indices((30, 20)).sum(0) // 5 % 2)[..., None]  # stripes at the top left
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(upright)))
    stored.save(folder / "phone.jpg", quality=95, exif=with_exif(6))
    about = json.loads(explained(capsys, "phone.jpg", "--json"))
    assert stored.size == (90, 60) and about["size"] == [60, 90]
    assert about["heat_map"] == {"file": "heat.png", "size": [60, 90], "upright": True}
    assert about["notes"] == ["turned upright by its EXIF orientation"]
    heat = np.asarray(Image.open("heat.png"), dtype=int)
    assert heat.shape == (90, 60, 3)
    ink = (heat.max((0, 1)) - heat).sum(-1)
    assert ink[:30, :20].sum() > 20 * ink[45:].sum() and ink[:30, :20].sum() > 20 * ink[:, 35:].sum()
    text = explained(capsys, "phone.jpg")
    assert "phone.jpg: turned upright by its EXIF orientation\n" in text
    assert "heat.png: 60 × 90 pixels (the image's own size), upright\n" in text


@pytest.mark.parametrize(
    ("name", "size"), [("panorama.jpg", (4000, 300)), ("dot.png", (1, 1)), ("line.png", (1, 700))]
)
def test_images_of_any_shape_are_explained_at_their_size(
    name: str, size: tuple[int, int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", size, "teal").save(folder / name)
    assert json.loads(explained(capsys, name, "--json"))["heat_map"]["size"] == list(size)
    assert Image.open("heat.png").size == size


def test_predict_says_what_was_done_and_why_others_were_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "moving.gif": moving("GIF"),
        "plain.jfif": saved(noise(20, 30), "JPEG"),
        "empty.png": b"",
        "text.png": b"Dear diary",
        "half.jpg": (whole := saved(noise(80, 80), "JPEG"))[: len(whole) // 2],
        "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "phone.heic": b"\0\0\0\x18ftypheic" + bytes(40),
        "bomb.png": SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    assert main(["predict", *files, "--model", "tiny", "--json"]) == 2
    output = capsys.readouterr()
    rows = {row["image"]: row for row in json.loads(output.out)["images"]}
    assert rows["moving.gif"]["notes"] == ["first frame of an animation"]
    assert rows["plain.jfif"]["notes"] == [] and len(rows["plain.jfif"]["top"]) == 2
    reasons = {name: row["error"] for name, row in rows.items() if "error" in row}
    expected = {
        "empty.png": "is empty",
        "text.png": "not an image of a known format",
        "half.jpg": "cut off or damaged",
        "drawing.svg": "an SVG drawing",
        "phone.heic": "a HEIC image",
        "bomb.png": "at most 12,000 a side",
    }
    assert reasons.keys() == expected.keys()
    assert all(expected[name] in text and text.count(". ") == 0 for name, text in reasons.items())
    assert output.err.count("\n") == 1 and "6 images were rejected" in output.err
    assert main(["predict", "moving.gif", "--model", "tiny"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("; first frame of an animation")
