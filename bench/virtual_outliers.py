"""Neighbours, prediction depth and virtual outliers against how one would get them otherwise.

    python -m bench.virtual_outliers

One process, one thread, processor time. Neighbours at four layers of the photographs'
features: `neighbours.nearest` against scikit-learn's brute search, which is faster than its
trees in so many dimensions. Virtual outliers: `least_likely` against drawing 10,000 points a
class with torch and keeping the least likely by its log-density, as VOS's published code
does. Prediction depth of 1,000 examples must take at most 2 seconds.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from sklearn.neighbors import NearestNeighbors
from torch.distributions import MultivariateNormal

from mlcv_explore.metrics import neighbours
from mlcv_explore.models import layer_features, virtual_outliers
from mlcv_explore.seeds import stream

EXAMPLES, COUNT, DRAWS = 1000, 30, 10_000
REPEATS = 5


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """The least processor seconds of some runs, and the last result."""
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        found = work()
        times.append(time.process_time() - started)
    return min(times), found


def scikit_learn(known: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Places of the neighbours (m, COUNT) as scikit-learn finds them."""
    search = NearestNeighbors(n_neighbors=COUNT, algorithm="brute").fit(known.numpy())
    return torch.from_numpy(search.kneighbors(asked.numpy(), return_distance=False))


def drawn_one_by_one(gaussians: virtual_outliers.Gaussians) -> torch.Tensor:
    """The least likely of DRAWS points of every class (K, d)."""
    kept = []
    for mean in gaussians.means:
        gaussian = MultivariateNormal(mean, scale_tril=gaussians.root)
        points = gaussian.rsample((DRAWS,))
        kept.append(points[gaussian.log_prob(points).argmin()])
    return torch.stack(kept)


def main() -> None:
    """Print one JSON object a measurement."""
    torch.set_num_threads(1)
    dataset, sizes = layer_features.dataset(), layer_features.SIZES
    known, asked = (part.as_float().split(sizes, 1) for part in (dataset.train, dataset.test))
    asked = [each[:EXAMPLES] for each in asked]
    labels, predictions = torch.from_numpy(dataset.train.labels), torch.from_numpy(dataset.test.labels)
    pairs = list(zip(known, asked, strict=True))
    ours, places = timed(lambda: [neighbours.nearest(*pair, COUNT)[1] for pair in pairs])
    theirs, others = timed(lambda: [scikit_learn(*pair) for pair in pairs])
    equal = sum(float((one == other).float().mean()) for one, other in zip(places, others, strict=True)) / 4
    report = {"what": "neighbours at four layers", "known": len(labels), "asked": EXAMPLES}
    times = {"seconds": ours, "scikit-learn": theirs, "scikit-learn / ours": theirs / ours, "equal": equal}
    report_line(report | times)

    def depth() -> torch.Tensor:
        found = [neighbours.nearest(*pair, COUNT)[1] for pair in pairs]
        probes = torch.stack([neighbours.votes(labels, each) for each in found])
        return neighbours.prediction_depth(probes, predictions[:EXAMPLES])

    seconds, _ = timed(depth)
    report_line({"what": "prediction depth", "examples": EXAMPLES, "seconds": seconds, "goal": 2.0})
    gaussians, classes = virtual_outliers.fit(known[-1], labels, 10), torch.arange(10)
    ours, _ = timed(lambda: virtual_outliers.least_likely(gaussians, classes, DRAWS, stream(0, "bench")))
    theirs, _ = timed(lambda: drawn_one_by_one(gaussians))
    report = {"what": "one virtual outlier a class", "draws": DRAWS, "dimensions": sizes[-1]}
    report_line(report | {"seconds": ours, "one by one": theirs, "one by one / ours": theirs / ours})


def report_line(report: dict[str, Any]) -> None:
    """One JSON object on a line of its own."""
    json.dump(report, sys.stdout)
    print(flush=True)


if __name__ == "__main__":
    main()
