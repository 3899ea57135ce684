"""Cut-outs and backgrounds of one colour each, for tests of composites."""

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

BACKGROUNDS = {"a": (230, 10, 10), "b": (90, 100, 110)}  # red and grey


def write(root: Path, objects: Mapping[str, tuple[tuple[int, int, int], str]]) -> None:
    """Objects of 30 × 20 pixels, name → colour and class of ImageNet or "", and both
    backgrounds, as `MLCV_DATA` holds them.
    """
    (root / "cutouts").mkdir()
    (root / "backgrounds").mkdir()
    lines = ["file,imagenet_class"]
    for name, (colour, imagenet_class) in objects.items():
        Image.new("RGBA", (30, 20), (*colour, 255)).save(root / f"cutouts/{name}.png")
        lines.append(f"{name}.png,{imagenet_class}")
    (root / "cutouts/cutouts.csv").write_text("\n".join(lines) + "\n")
    for name, colour in BACKGROUNDS.items():
        Image.new("RGB", (40, 40), colour).save(root / f"backgrounds/{name}.png")
