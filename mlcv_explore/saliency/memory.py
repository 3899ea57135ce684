"""Maps that memory was lacking for: the next attempt may compute them, while every other
reason for a refusal lies in the network and lasts.

They are recognised by the words of the error, which `supported` gives as its reason: that
module makes the numbers of recorded runs and is left as it is.
"""

import re
from dataclasses import dataclass

from mlcv_explore.saliency.attribution import Map
from mlcv_explore.saliency.supported import OFFERED, Refused

# PyTorch's allocators of the processor (Linux, Windows) and of a GPU, NumPy's, Python's
WORDS = re.compile(
    r"can.?t allocate memory|not enough memory|out of memory|unable to allocate|MemoryError", re.IGNORECASE
)


@dataclass(frozen=True)
class OutOfMemory(Refused):
    """A method whose map the next attempt may compute."""


def judged(result: Map | Refused) -> Map | Refused:
    """The result, as OutOfMemory where memory was lacking for it."""
    if isinstance(result, Refused) and WORDS.search(result.reason):
        label = OFFERED[result.method].label
        return OutOfMemory(result.method, f"{label} needs more memory than is free now.")
    return result
