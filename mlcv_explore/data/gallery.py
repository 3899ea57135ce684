"""Example photographs that installed libraries carry, with their authors and licences."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from mlcv_explore.data import uploads

FILES = {  # short name → file in its package, title, author, licence
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


FREE = ("cat", "coffee", "astronaut", "photographer", "rocket", "retina")  # to be copied without attribution
THUMBNAIL = 112  # pixels


@dataclass(frozen=True)
class GalleryImage:
    """A photograph that an installed library carries."""

    title: str
    author: str
    licence: str
    path: Path

    def read(self, side: int | None = uploads.PAGE_SIDE) -> uploads.UploadedImage:
        """The photograph itself, as `uploads.read` returns it."""
        return uploads.read(self.path.read_bytes(), self.title, side)


def photographs() -> dict[str, GalleryImage]:
    """Photographs that scikit-image and scikit-learn carry in their installed files, by
    short name; read from disk only, never fetched.

    Authors and licences are those stated in `skimage.data`'s docstrings and in
    scikit-learn's `datasets/images/README.txt` (which prints the first author's name
    over the second photograph too; its link names the second). Photographs without a
    stated licence are left out.
    """
    images = {}
    for name, (file, title, author, licence) in FILES.items():
        package, _, within = file.partition("/")
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if (path := Path(folder, within)).is_file():
                images[name] = GalleryImage(title, author, licence, path)
    return images


def write_thumbnails(folder: Path) -> None:
    """The photographs of FREE, THUMBNAIL pixels high, as WebP files `<name>.webp`."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for name in FREE:
        pixels = photographs()[name].read(4 * THUMBNAIL).pixels
        width = round(pixels.shape[1] * THUMBNAIL / pixels.shape[0])
        small = Image.fromarray(pixels).resize((width, THUMBNAIL), Image.Resampling.LANCZOS)
        small.save(folder / f"{name}.webp", "WEBP", quality=75, method=6)
