"""Updates of a training: batches without end, and many updates in a few equal parts."""

from collections.abc import Iterator

import torch


def shuffled_batches(count: int, size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Indices of batches without end, every example once before any comes again."""
    while True:
        yield from torch.randperm(count, generator=generator).split(size)


def in_parts(updates: Iterator[object], total: int, count: int) -> Iterator[None]:
    """Do `total` updates in `count` parts, as equal as can be; a step a part."""
    done = 0
    for part in range(1, count + 1):
        while done < total * part // count:
            next(updates)
            done += 1
        if part == count:
            for _ in updates:
                pass
        yield
