"""Coarse classes of known data sets: every fine class in one group of its kind. Of an own
folder none are known: each of its classes is a group of its own.
"""

import numpy as np

from mlcv_explore.config import SettingError
from mlcv_explore.data.catalogue import CATALOGUE
from mlcv_explore.data.loading import entry

# a class of several words has underscores here
_DIGITS = {"round": "0 6 8 9", "straight": "1 4 7", "bent": "2 3 5"}  # by their strokes
GROUPS = {
    "digits": _DIGITS,
    "mnist": _DIGITS,
    "svhn": _DIGITS,
    "fashion_mnist": {
        "tops": "t-shirt pullover dress coat shirt",
        "trousers": "trouser",
        "shoes": "sandal sneaker ankle_boot",
        "bags": "bag",
    },
    "cifar10": {"vehicles": "airplane automobile ship truck", "animals": "bird cat deer dog frog horse"},
    # Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009: the set's own coarse labels
    "cifar100": {
        "aquatic mammals": "beaver dolphin otter seal whale",
        "fish": "aquarium_fish flatfish ray shark trout",
        "flowers": "orchid poppy rose sunflower tulip",
        "food containers": "bottle bowl can cup plate",
        "fruit and vegetables": "apple mushroom orange pear sweet_pepper",
        "electrical devices": "clock keyboard lamp telephone television",
        "furniture": "bed chair couch table wardrobe",
        "insects": "bee beetle butterfly caterpillar cockroach",
        "large carnivores": "bear leopard lion tiger wolf",
        "man-made outdoor things": "bridge castle house road skyscraper",
        "natural outdoor scenes": "cloud forest mountain plain sea",
        "large herbivores": "camel cattle chimpanzee elephant kangaroo",
        "medium mammals": "fox porcupine possum raccoon skunk",
        "non-insect invertebrates": "crab lobster snail spider worm",
        "people": "baby boy girl man woman",
        "reptiles": "crocodile dinosaur lizard snake turtle",
        "small mammals": "hamster mouse rabbit shrew squirrel",
        "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
        "vehicles 1": "bicycle bus motorcycle pickup_truck train",
        "vehicles 2": "lawn_mower rocket streetcar tank tractor",
    },
}


def coarse(name: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The coarse classes of a data set, and the place among them of each of its
    classes, (K,) int64. Raises SettingError where none are known, and DataError for a
    name that nothing goes by.
    """
    if name not in CATALOGUE:
        classes = entry(name).classes
        return classes, np.arange(len(classes))
    if name not in GROUPS:
        raise SettingError(
            f"dataset must be one with coarse classes, one of {', '.join(GROUPS)}, got {name!r}."
        )
    groups = tuple(GROUPS[name])
    index = {
        member: number for number, members in enumerate(GROUPS[name].values()) for member in members.split()
    }
    return groups, np.array([index[fine.replace(" ", "_")] for fine in CATALOGUE[name].classes])
