"""Maps that could not be computed: a method that raises ends itself alone, and what memory
was lacking for may be computed by the next attempt, while every other reason for a refusal
lies in the network and lasts.

A lack of memory is recognised by the words of the error, which `supported` gives as its
reason: that module makes the numbers of recorded runs and is left as it is.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mlcv_explore.saliency import supported
from mlcv_explore.saliency.attribution import GROUPS, Map
from mlcv_explore.saliency.methods import SaliencyError, SaliencySettings, Target
from mlcv_explore.saliency.supported import OFFERED, OWN, Refused

# PyTorch's allocators of the processor (Linux, Windows) and of a GPU, NumPy's, Python's
WORDS = re.compile(
    r"can.?t allocate memory|not enough memory|out of memory|unable to allocate|MemoryError", re.IGNORECASE
)
# Methods that `supported` computes together, in its order; those of networks alone come first
TOGETHER = (*((name,) for name in OWN if not any(name in group for group in GROUPS)), *GROUPS)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OutOfMemory(Refused):
    """A method whose map the next attempt may compute."""


def attribute_each(
    network: nn.Module,
    image: torch.Tensor,
    target: Target,
    names: Sequence[str],
    settings: SaliencySettings,
    seed: int,
    *more: Any,
) -> Iterator[Map | Refused]:
    """The maps of these methods as `supported.attribute_each` yields them, OutOfMemory
    where memory was lacking. Whatever a method of this package raises is the reason why its
    map does not exist, and the others are computed.

    Raises SaliencyError likewise, and what a method of Captum's raises: those report their
    progress, and are ended so.
    """
    left = list(dict.fromkeys(names))
    while True:
        try:
            for result in supported.attribute_each(
                network, image, target, tuple(left), settings, seed, *more
            ):
                left.remove(result.method)
                yield judged(result)
            return
        except SaliencyError:
            raise
        except Exception as error:  # of a network from elsewhere
            group = next((group for group in TOGETHER if set(group) & set(left)), ())
            if not group:
                raise
            failing = [name for name in left if name in group]
            yield from (failed(name, error) for name in failing)
            left = [name for name in left if name not in failing]
            if not left:
                return


def failed(name: str, error: Exception) -> Refused:
    """Why there is no map by a method that raised this: one sentence. The traceback of
    what may be an error of this package is logged.
    """
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
    refused = judged(Refused(name, f"{OFFERED[name].label} fails for this network: {reason}."))
    if not isinstance(refused, OutOfMemory):
        log.warning("no map by %s", name, exc_info=error)
    return refused


def judged(result: Map | Refused) -> Map | Refused:
    """The result, as OutOfMemory where memory was lacking for it."""
    if isinstance(result, Refused) and WORDS.search(result.reason):
        label = OFFERED[result.method].label
        return OutOfMemory(result.method, f"{label} needs more memory than is free now.")
    return result
