"""Two CIFAR-10 test photographs of different classes mixed half-way, as features and as
pixels: how far a linear classifier's probabilities are from the mixed label.

    python -m bench.photograph_mixing [--pairs 200]

Needs CIFAR-10. Every photograph is the first of one pair; n counts pairs.
"""

import argparse

import numpy as np

from mlcv_explore import data, statistics
from mlcv_explore.ideas.feature_mixing import inference
from mlcv_explore.models import photograph_features, photograph_map, photograph_paths
from mlcv_explore.seeds import numpy_stream

HALF = photograph_paths.at(0.5)


def main() -> None:
    """Print cross-entropy, the probability of both classes, and neighbours of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    pairs = parser.parse_args().pairs
    space, test = inference.photographs(), data.load(photograph_map.REFERENCES).test
    photographs = photograph_features.originals(photograph_map.REFERENCES).test
    rng = numpy_stream(0, "pairs of photographs")
    first = rng.choice(len(test), pairs, replace=False)
    second = np.array([rng.choice(np.flatnonzero(test.labels != test.labels[row])) for row in first])
    pixels = photographs.images[test.rows_in(photographs)].transpose(0, 2, 3, 1)
    columns: dict[str, dict[str, list[float]]] = {way: {} for way in photograph_paths.WAYS}
    for ends in zip(first, second, strict=True):
        known = (photograph_paths.Photograph(pixels[row], test.classes[test.labels[row]]) for row in ends)
        mixed = photograph_paths.mix(space, *known)
        for way, path in mixed.paths.items():
            both, target = list(mixed.labels), mixed.target[HALF]
            near = np.isin(space.references.labels[path.nearest[HALF]], both).mean()
            numbers = {
                "cross-entropy, nats": -(target * np.log(path.probabilities[HALF])).sum(),
                "probability of both classes": path.probabilities[HALF][both].sum(),
                "nearest five of both classes": near,
                "distance to the nearest": path.distances[HALF, 0],
            }
            for name, value in numbers.items():
                columns[way].setdefault(name, []).append(float(value))
    features, blended = (columns[way] for way in photograph_paths.WAYS)
    for name, values in features.items():
        own, other = np.array(values), np.array(blended[name])
        gap = statistics.interval(other - own)
        print(
            f"{name:30} features {own.mean():.3f}, pixels {other.mean():.3f}, pixels − features"
            f" {gap.mean:.3f} [{gap.low:.3f}, {gap.high:.3f}], n = {pairs}"
        )


if __name__ == "__main__":
    main()
