"""Named streams of randomness: one generator a purpose, so that adding a draw never
moves another.
"""

import hashlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

Built = TypeVar("Built")
_global_generator = threading.Lock()


def stream_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed that depends on both arguments, the same on every machine and in
    every process.
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def stream(seed: int, purpose: str) -> "torch.Generator":
    """torch's generator for one purpose of one seed: `stream(3, "label noise")`."""
    import torch

    return torch.Generator().manual_seed(stream_seed(seed, purpose))


def numpy_stream(seed: int, purpose: str) -> np.random.Generator:
    """NumPy's generator for one purpose of one seed."""
    return np.random.default_rng(stream_seed(seed, purpose))


def seeded(seed: int, build: Callable[[], Built], purpose: str = "weights") -> Built:
    """What `build()` returns when the global generator starts from this stream; the
    generator is put back afterwards.

    The only place the global generator is lent, under a lock: sessions share one
    process.
    """
    import torch

    with _global_generator, torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, purpose))
        return build()
