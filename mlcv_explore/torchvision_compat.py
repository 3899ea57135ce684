"""torchvision, which everything here imports from this module.

On a torch without a GPU the wheel's compiled operators do not load, and `import
torchvision` raises «operator torchvision::nms does not exist». Transforms, models and
datasets need none of them: two schemas without a kernel are enough for the import.
Where the operators load, nothing is done.
"""

import importlib.machinery
import importlib.util
from typing import Any

import torch

OPERATORS = ("nms", "qnms")  # the two that the import looks up
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def _load_compiled_operators() -> None:
    """Load torchvision's compiled operators where they fit this torch; torchvision's
    own import of them is then a no-op.
    """
    package = importlib.util.find_spec("torchvision")
    folder = package.submodule_search_locations[0]
    loader = (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES)
    compiled = importlib.machinery.FileFinder(folder, loader).find_spec("_C")
    if compiled is not None:
        try:
            torch.ops.load_library(compiled.origin)
        except OSError:  # built for another torch: the case this module is for
            return


def declare_missing_operators() -> Any | None:
    """Declare the schemas when no library has; returns what must be kept alive, or None
    when the operators exist.
    """
    if hasattr(torch.ops.torchvision, "nms"):
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in OPERATORS:
        library.define(f"{name}{SIGNATURE}")
    return library


_load_compiled_operators()
_declared = declare_missing_operators()

from torchvision import datasets, models  # noqa: E402  only now can torchvision be imported
from torchvision.transforms import v2 as transforms  # noqa: E402

__all__ = ["datasets", "declare_missing_operators", "models", "transforms"]
