"""How fast a drawn digit becomes its tree at the server; our batched matching pursuit
against scikit-learn's; the neural-backed tree.

    python -m bench.hierarchical_explanation

The page is measured from outside over the websocket: the canvas's message → the
script's end, tree included; every message is another drawing. Both pursuits get the
same dictionary and items and are asked for as many atoms; scikit-learn's is run with
its Gram matrix made beforehand for all items at once, and without, and the faster one
is the rival. With CIFAR-10 at hand (MLCV_DATA) the tree's accuracy is counted as well.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch

from bench._session import Session
from bench.serving import ROOT, first_session, percentile, serving, wait_ready
from mlcv_explore import data
from mlcv_explore.ideas.hierarchical_explanation import inference
from mlcv_explore.models import checkpoints
from mlcv_explore.models.decision_trees import NeuralBackedTree, backed_by, shuffled_merges
from mlcv_explore.models.sparse_coding import coefficients, matching_pursuit, reconstruct
from mlcv_explore.statistics import t_interval

PAGE = "hierarchical_explanation"
DRAWINGS, FIRST = 60, 5  # messages that count, and those before
PAUSE = 0.1  # seconds between two messages of a canvas
TARGET = 0.1  # seconds, 95th percentile
ATOMS, ITEMS = 6, 400  # of a pursuit
ROUNDS = 5
DRAWS = 10  # controls of the tree


def drawings(count: int) -> list[str]:
    """Sevens of all slants and sizes, as the canvas sends them."""
    sent = []
    rows, columns = np.indices((32, 32))
    for step in range(count):
        slant, top, left = 0.3 + 0.02 * (step % 20), 4 + step % 5, 6 + step % 7
        bar = (abs(rows - top) < 2) & (columns >= left) & (columns < left + 14)
        leg = (rows >= top) & (rows < 29) & (abs(columns - (left + 13 - slant * (rows - top))) < 2)
        sent.append("drawing:" + "".join("1" if ink else "0" for ink in (bar | leg).ravel()))
    return sent


def draw(session: Session) -> dict[str, float]:
    """Draw, message after message; seconds."""
    took = []
    for place, text in enumerate(drawings(FIRST + DRAWINGS)):
        seconds = session.move(f"{PAGE}-canvas", {"painted": text})
        if place >= FIRST:
            took.append(seconds)
        time.sleep(PAUSE)
    return {"p50": statistics.median(took), "p95": percentile(took, 0.95)}


def seconds_of(work: Callable[[], object]) -> float:
    """Median seconds of a few rounds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def pursuits(name: str, atoms: np.ndarray, items: np.ndarray) -> dict[str, object]:
    """Ours and scikit-learn's on one dictionary: seconds, their ratio, and both mean
    residuals.
    """
    from sklearn.linear_model import orthogonal_mp

    def own() -> np.ndarray:
        chosen = matching_pursuit(items, atoms, ATOMS)
        return reconstruct(atoms, chosen, coefficients(items, atoms, chosen))

    def theirs(precompute: bool) -> np.ndarray:
        return (
            atoms.T
            @ orthogonal_mp(atoms.T, items.T, n_nonzero_coefs=ATOMS, precompute=precompute).reshape(
                len(atoms), -1
            )
        ).T

    residuals = {
        which: float(np.linalg.norm(items - reconstructions, axis=1).mean())
        for which, reconstructions in (("ours", own()), ("scikit-learn's", theirs(False)))
    }
    times = {"ours": seconds_of(own), "scikit-learn": seconds_of(lambda: theirs(False))}
    if len(atoms) <= 4096:  # the Gram matrix of more fills memory
        times["scikit-learn, Gram matrix first"] = seconds_of(lambda: theirs(True))
    rival = min(value for which, value in times.items() if which != "ours")
    return {
        "dictionary": f"{name}, {len(atoms)} atoms",
        "seconds": times,
        "ours : fastest rival": times["ours"] / rival,
        "mean residual": residuals,
    }


def backed() -> dict[str, object]:
    """Accuracy of the network, of its last layer read as a tree, and of trees of the
    same shape with the classes at random.
    """
    test = data.load("cifar10").test
    classifier = checkpoints.load("cifar10/0")
    tree, features_of = backed_by(classifier)
    with torch.inference_mode():
        batches = torch.from_numpy(np.array(test.images)).split(500)
        features = torch.cat([features_of(batch.float() / 255) for batch in batches]).numpy()
    logits = features @ tree.weight.T + tree.bias
    controls = [
        NeuralBackedTree(tree.weight, tree.bias, tree.classes, shuffled_merges(tree.merges, seed))
        .leaf_probabilities(features)
        .argmax(1)
        for seed in range(DRAWS)
    ]
    accuracies = t_interval([float((predicted == test.labels).mean()) for predicted in controls])
    return {
        "images": len(test),
        "network": float((logits.argmax(1) == test.labels).mean()),
        "tree, soft": float((tree.leaf_probabilities(features).argmax(1) == test.labels).mean()),
        "tree, hard": float((tree.hard_leaves(features) == test.labels).mean()),
        "same shape, classes at random": accuracies.as_json(),
    }


def main() -> None:
    """Measure and print one JSON object."""
    torch.set_num_threads(1)
    report: dict[str, object] = {"load before": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as home, serving(ROOT / "app.py", home) as (port, _, _):
        first_session(port).close()
        wait_ready(port)
        session = first_session(port, PAGE, f"{PAGE}-source=Draw")
        times = draw(session)
        report["drawn digit → its tree, s"] = times
        report[f"ratio to the target of {TARGET:g} s"] = times["p95"] / TARGET
        session.close()
    base = inference.explainer("digits")
    items = np.resize(base.items, (ITEMS, base.items.shape[1])) + 0.01 * np.random.default_rng(
        0
    ).standard_normal((ITEMS, 256)).astype(np.float32)
    report["pursuits"] = [
        pursuits("three levels", base.dictionary.atoms, items),
        pursuits("strokes", base.dictionary.first, items),
        pursuits("prototypes", base.prototypes, items),
    ]
    try:
        report["neural-backed tree of cifar10/0"] = backed()
    except data.DataError as error:
        report["neural-backed tree of cifar10/0"] = str(error)
    report["load after"] = os.getloadavg()[0]
    json.dump(report, sys.stdout, indent=2, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
