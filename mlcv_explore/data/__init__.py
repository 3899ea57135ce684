"""Data sets by name: what there is, whether it is here, reading it, splitting it.

Light to import: torch, torchvision, scikit-learn and SciPy are imported by the
functions that need them.
"""

from mlcv_explore.data.catalogue import CATALOGUE, Entry
from mlcv_explore.data.dataset import OUTLINE, DataError, Dataset, Images
from mlcv_explore.data.downloads import download
from mlcv_explore.data.features import Features
from mlcv_explore.data.loading import check_split, entry, largest_train_size, load
from mlcv_explore.data.locations import BY_NAME, Availability, available, own_names
from mlcv_explore.data.own_folders import (
    check_enough,
    describe,
    fewest_of_a_class,
    fitted_sizes,
    own_fingerprint,
)
from mlcv_explore.data.splits import Split, split, split_own
from mlcv_explore.data.uploads import read_dataset_image

__all__ = [
    "BY_NAME",
    "CATALOGUE",
    "OUTLINE",
    "Availability",
    "DataError",
    "Dataset",
    "Entry",
    "Features",
    "Images",
    "Split",
    "available",
    "check_enough",
    "check_split",
    "describe",
    "download",
    "entry",
    "fewest_of_a_class",
    "fitted_sizes",
    "largest_train_size",
    "load",
    "own_fingerprint",
    "own_names",
    "read_dataset_image",
    "split",
    "split_own",
]
