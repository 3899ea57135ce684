"""Oxford-IIIT Pet: photographs of all sizes, each with a trimap of the pet, read at the
size that the catalogue states.
"""

import os
from pathlib import Path

import numpy as np

from mlcv_explore.data.catalogue import Entry
from mlcv_explore.data.dataset import OUTLINE, DataError, Images
from mlcv_explore.data.uploads import read_dataset_image, read_index_image

LISTS = {"train": "annotations/trainval.txt", "test": "annotations/test.txt"}
PHOTOGRAPHS, TRIMAPS = "images", "annotations/trimaps"
PUBLISHED = (*LISTS.values(), PHOTOGRAPHS, TRIMAPS)
# of a trimap's 1 (pet), 2 (background) and 3 (outline); it has no 0
MASK_VALUES = np.array([OUTLINE, 1, 0, OUTLINE], np.uint8)
CURE = "take the set away and download it again"


def listed_files(paths: dict[str, Path]) -> dict[str, Path | None]:
    """The two lists and every photograph and trimap that they name → its path, None
    when it is missing.

    `paths` has the path of each of PUBLISHED. Files that no list names, such as 41
    photographs of the published archive, are ignored.
    """
    there = {folder: set(os.listdir(paths[folder])) for folder in (PHOTOGRAPHS, TRIMAPS)}
    files: dict[str, Path | None] = {file: paths[file] for file in LISTS.values()}
    for part in LISTS:
        for name, _ in _listed(part, paths[LISTS[part]]):
            for folder, file in ((PHOTOGRAPHS, f"{name}.jpg"), (TRIMAPS, f"{name}.png")):
                files[f"{folder}/{file}"] = paths[folder] / file if file in there[folder] else None
    return files


def read(entry: Entry, files: dict[str, Path]) -> tuple[Images, Images]:
    """The train and the test part of `listed_files`, each photograph resized to the
    entry's height and width, whatever its own shape.

    Masks are 1 on the pet, 0 on the background and OUTLINE on the strip between them,
    which training and metrics have to ignore. They are the nearest pixel of the trimap,
    because a blend would have intermediate values along the edge. Raises DataError, one
    sentence naming the file, when a file is damaged or does not fit the others.
    """
    train, test = (_read_part(entry, part, files) for part in LISTS)
    return train, test


def _read_part(entry: Entry, part: str, files: dict[str, Path]) -> Images:
    listed = _listed(part, files[LISTS[part]])
    images = np.empty((len(listed), *entry.shape), np.uint8)
    masks = np.empty((len(listed), *entry.shape[1:]), np.uint8)
    for place, (name, label) in enumerate(listed):
        breed = name.rpartition("_")[0].lower()
        if not 0 <= label < len(entry.classes) or entry.classes[label] != breed:
            raise DataError(
                f"oxford_pets/{LISTS[part]} gives {name} class {label + 1}, which is not {breed!r}: {CURE}."
            )
        photograph, trimap = _read_pair(name, files)
        images[place] = _resized(photograph.transpose(1, 2, 0), entry.shape, smooth=True).transpose(2, 0, 1)
        masks[place] = MASK_VALUES[_resized(trimap, entry.shape, smooth=False)]
    return Images(images, np.array([label for _, label in listed], np.int64), entry.classes, masks)


def _listed(part: str, path: Path) -> list[tuple[str, int]]:
    """What a list names, in its order: (name of photograph and trimap, class index from
    0).
    """
    listed = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        words = line.split()
        if len(words) != 4 or not words[1].isdecimal():
            raise DataError(f"oxford_pets/{LISTS[part]} is damaged in line {number}: {CURE}.")
        listed.append((words[0], int(words[1]) - 1))
    return listed


def _read_pair(name: str, files: dict[str, Path]) -> tuple[np.ndarray, np.ndarray]:
    """A photograph uint8 (3, height, width) and its trimap (height, width) of 1, 2 and
    3.
    """
    file, trimap_file = f"{PHOTOGRAPHS}/{name}.jpg", f"{TRIMAPS}/{name}.png"
    # trimaps were drawn on the pixels as they are stored
    photograph = read_dataset_image(files[file], f"oxford_pets/{file}", upright=False)
    trimap = read_index_image(files[trimap_file], f"oxford_pets/{trimap_file}")
    if trimap.shape != photograph.shape[1:]:
        sizes = (
            f"{trimap.shape[1]}×{trimap.shape[0]} pixels and its photograph"
            f" {photograph.shape[2]}×{photograph.shape[1]}"
        )
        raise DataError(f"oxford_pets/{trimap_file} is {sizes}: {CURE}.")
    if trimap.min() < 1 or trimap.max() > 3:
        raise DataError(
            f"oxford_pets/{trimap_file} has values of {trimap.min()}–{trimap.max()}, a trimap has 1, 2 and 3:"
            f" {CURE}."
        )
    return np.broadcast_to(photograph, (3, *trimap.shape)), trimap


def _resized(pixels: np.ndarray, shape: tuple[int, int, int], smooth: bool) -> np.ndarray:
    """Pixels (height, width, …) at the height and width of `shape`: Pillow's
    antialiased bilinear filter, or the nearest pixel.
    """
    from PIL import Image

    resampling = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((shape[2], shape[1]), resampling))
