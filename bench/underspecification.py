"""Thirty networks in one stack against a loop; corruptions against torchvision and
scikit-image; how long the demo takes from slider to picture.

    python -m bench.underspecification [--no-page]

One process, one thread, processor time, medians of alternating repeats. The loop trains
PyTorch's own modules, with Adam's fused kernel as the stack does, on the same batches; both
end at about the same accuracy, which is printed. A page is measured on a server of its own.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bench.serving import ROOT, first_session, percentile, serving, wait_ready
from mlcv_explore import data
from mlcv_explore.data.corruptions import SEVERITIES, corrupted
from mlcv_explore.ideas.underspecification import LIVE, training
from mlcv_explore.models import pipelines

REPEATS = 5
SEVERITY = 5
SLUG = "underspecification"
PAGE = (("strength", (1, 3, 5, 2, 4)), ("corruption", ("noise", "blur", "rotation", "jpeg", "contrast")))


def seconds(work: Callable[[], object]) -> float:
    """Of the processor."""
    started = time.process_time()
    work()
    return time.process_time() - started


def alternating(*works: Callable[[], object]) -> list[float]:
    """Medians of what takes turns."""
    times = [[seconds(work) for work in works] for _ in range(REPEATS)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def loop(own: training.Replicate) -> list[nn.Module]:
    """The supervised networks of a split, one after the other."""
    images, labels = own.split.train
    sizes, networks = (images[0].numel(), LIVE.width, LIVE.width, 10), []
    for number in own.numbers.order:
        one, other, last = (nn.Linear(*pair) for pair in itertools.pairwise(sizes))
        norms = nn.BatchNorm1d(LIVE.width), nn.BatchNorm1d(LIVE.width)
        network = nn.Sequential(nn.Flatten(), one, norms[0], nn.ReLU(), other, norms[1], nn.ReLU(), last)
        optimiser = torch.optim.Adam(network.parameters(), lr=pipelines.RATE, fused=True)
        draws = torch.Generator().manual_seed(number)
        for _ in range(LIVE.steps):
            places = torch.randint(len(images), (pipelines.BATCH,), generator=draws)
            loss = functional.cross_entropy(network(images[places]), labels[places])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        networks.append(network.eval())
    return networks


def stacked() -> dict[str, float]:
    """Seconds of both, their ratio and their accuracies."""
    own = training.Replicate(LIVE, 0)
    ours, theirs = alternating(lambda: own.trained("supervised"), lambda: loop(own))
    test, truth = own.split.tests["clean"], torch.from_numpy(own.split.truth)
    networks = loop(own)
    with torch.no_grad():
        shares = [float((network(test).argmax(1) == truth).float().mean()) for network in networks]
    accuracy = pipelines.accuracy(own.trained("supervised"), test, truth)
    about = {"networks": LIVE.networks, "stack": ours, "loop": theirs, "loop / stack": theirs / ours}
    return about | {"accuracy": accuracy, "loop's accuracy": float(np.mean(shares))}


def rivals() -> dict[str, Callable[[np.ndarray], object]]:
    """Corruption → how one would do it on images (n, C, h, w) uint8 otherwise."""
    from skimage import exposure, filters, util

    from mlcv_explore.torchvision_compat import transforms

    amount = {kind: values[SEVERITY - 1] for kind, values in SEVERITIES.items()}
    width = amount["blur"]
    turn = transforms.RandomRotation((amount["rotation"],) * 2)
    jpeg = transforms.JPEG(amount["jpeg"])
    return {
        "noise (skimage)": lambda images: [
            util.random_noise(each / 255, var=amount["noise"] ** 2) for each in images
        ],
        "blur (skimage)": lambda images: [filters.gaussian(each, width, channel_axis=0) for each in images],
        "blur (torchvision)": lambda images: transforms.functional.gaussian_blur(
            torch.from_numpy(images), 5, width
        ),
        "contrast (skimage)": lambda images: [
            exposure.rescale_intensity(each, out_range=(108, 147)) for each in images
        ],
        "rotation (torchvision)": lambda images: [turn(torch.from_numpy(each)) for each in images],
        "jpeg (torchvision)": lambda images: [jpeg(torch.from_numpy(each)) for each in images],
    }


def corruptions() -> None:
    """One line a corruption and rival, on 500 photographs of 32 pixels."""
    images = data.load("cifar10").test.images[:500].copy()
    for name, rival in rivals().items():
        kind = name.split()[0]
        try:
            ours, theirs = alternating(
                lambda kind=kind: corrupted(images, kind, SEVERITY), lambda rival=rival: rival(images)
            )
        except (RuntimeError, ImportError, AttributeError) as error:  # no compiled operators here
            print(json.dumps({"corruption": name, "not measured": f"{error}"[:80]}), flush=True)
            continue
        print(
            json.dumps({"corruption": name, "ours": ours, "rival": theirs, "rival / ours": theirs / ours}),
            flush=True,
        )


def page() -> None:
    """Milliseconds from a control to the end of the script, of either kind of image."""
    with tempfile.TemporaryDirectory() as home, serving(ROOT / "app.py", home) as (port, _, _):
        first_session(port).close()
        wait_ready(port)
        for shown in ("Digits", "Photographs"):
            session = first_session(port, SLUG, f"{SLUG}-data={shown}")
            moves = [(f"{SLUG}-{key}", value) for key, row in PAGE for value in row]
            times = [1000 * session.move(*move) for move in 2 * moves]
            report = {
                "page": shown,
                "median, ms": statistics.median(times),
                "p95, ms": percentile(times, 0.95),
            }
            print(json.dumps(report), flush=True)
            session.close()


def main() -> None:
    """Print one JSON object a measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--no-page", action="store_true", help="leave the page out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(stacked()), flush=True)
    corruptions()
    if not options.no_page:
        page()


if __name__ == "__main__":
    main()
