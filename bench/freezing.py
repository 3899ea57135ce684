"""Fine-tuning with stored features against plain PyTorch fine-tuning, and corruptions against
torchvision's transforms.

    python -m bench.freezing

One process, one thread, processor time. The ImageNet network at 64 pixels, 200 random images,
30 updates of Adam: `fine_tuning.tuned`, its features stored once, that time included, and a
further tuning from the same features, as for another learning rate; against
a loop as one writes it: the frozen part in evaluation mode without gradients, computed anew in
every update. Both draw the same batches; the largest difference of their weights is
printed. Goals: 5 times for the head alone, 2 times with the first half frozen.

Corruptions of 500 images of 32 pixels against torchvision v2's noise, blur,
contrast and rotation, image by image as its data loaders apply them.
"""

import copy
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore.data import corruptions
from mlcv_explore.models import block_network, fine_tuning
from mlcv_explore.models.block_network import BlockNetwork
from mlcv_explore.models.fine_tuning import Pattern
from mlcv_explore.seeds import stream

IMAGES, UPDATES, RATE, SIDE = 200, 30, 0.0003, 64
PATTERNS = {
    "head alone": (False, False, False, False),
    "first three frozen": (False, False, False, True),
    "first half frozen": (False, False, True, True),
    "first frozen": (False, True, True, True),
    "nothing frozen": (True, True, True, True),
}
CORRUPTED = 500


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of the faster of two runs, and the last result."""
    times = []
    for _ in range(2):
        started = time.process_time()
        result = work()
        times.append(time.process_time() - started)
    return min(times), result


def stored(
    network: BlockNetwork, pattern: Pattern, images: torch.Tensor, labels: torch.Tensor
) -> BlockNetwork:
    """Tuned as the project does."""
    given = fine_tuning.examples(network, images, labels)
    return fine_tuning.tuned(network, pattern, given, UPDATES, RATE, RATE, stream(0, "bench"))


def plain(
    network: BlockNetwork, pattern: Pattern, images: torch.Tensor, labels: torch.Tensor
) -> BlockNetwork:
    """Tuned as one writes it."""
    own, draws = copy.deepcopy(network).eval().requires_grad_(False), stream(0, "bench")
    parts = [own.head, *(block for block, trained in zip(own.blocks, pattern, strict=True) if trained)]
    for part in parts:
        part.requires_grad_(True)
    optimiser = torch.optim.Adam([value for part in parts for value in part.parameters()], RATE, fused=True)
    for _ in range(UPDATES):
        batch = torch.randint(len(images), (fine_tuning.BATCH,), generator=draws)
        optimiser.zero_grad()
        functional.cross_entropy(own(images[batch]), labels[batch]).backward()
        optimiser.step()
    return own


def tuning() -> None:
    """One line a pattern."""
    draws = torch.Generator().manual_seed(0)
    images = torch.rand(IMAGES, 3, SIDE, SIDE, generator=draws).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (IMAGES,), generator=draws)
    network = block_network.imagenet_blocks(10, 0)
    given, about = fine_tuning.examples(network, images, labels), (UPDATES, RATE, RATE, stream(0, "bench"))
    for name, pattern in PATTERNS.items():
        ours, one = timed(lambda pattern=pattern: stored(network, pattern, images, labels))
        theirs, other = timed(lambda pattern=pattern: plain(network, pattern, images, labels))
        further, _ = timed(lambda pattern=pattern: fine_tuning.tuned(network, pattern, given, *about))
        pairs = zip(one.parameters(), other.parameters(), strict=True)
        apart = max(float((first - second).detach().abs().max()) for first, second in pairs)
        report = {"what": name, "seconds": ours, "plain": theirs, "plain / stored": theirs / ours}
        report |= {"plain / further": theirs / further, "largest difference": apart}
        report_line(report)


def corrupting() -> None:
    """One line a corruption that torchvision has too."""
    from mlcv_explore.torchvision_compat import transforms as v2

    images = np.random.default_rng(0).integers(0, 256, (CORRUPTED, 3, 32, 32), dtype=np.uint8)
    batch = torch.from_numpy(images)
    rivals = {
        "noise": lambda image: v2.functional.gaussian_noise(image.float() / 255, sigma=0.1),
        "blur": lambda image: v2.functional.gaussian_blur(image, 9, [1.0, 1.0]),
        "contrast": lambda image: v2.functional.adjust_contrast(image, 0.15),
        "rotation": lambda image: v2.functional.rotate(image, 60.0, v2.InterpolationMode.BILINEAR),
    }
    for kind, change in rivals.items():
        ours, _ = timed(lambda kind=kind: corruptions.corrupted(images, kind, 5))
        theirs, _ = timed(lambda change=change: [change(image) for image in batch])
        report_line(
            {"what": kind, "seconds": ours, "torchvision": theirs, "torchvision / ours": theirs / ours}
        )


def report_line(report: dict[str, Any]) -> None:
    """One JSON object on a line of its own."""
    json.dump(report, sys.stdout)
    print(flush=True)


def main() -> None:
    """Print one JSON object a measurement."""
    torch.set_num_threads(1)
    tuning()
    corrupting()


if __name__ == "__main__":
    main()
