"""Novelty of an image to a classifier: percentiles of its highest probability and its
energy among those of the model's test images.

A softmax always names a class. An image of none of them tends to get a low highest
probability and a high energy, −log Σ exp(logits) (Liu et al., 2010.03759). The percentiles
of both on test images ship in `checkpoints/novelty.json`, measured by `python -m
mlcv_explore novelty NAME`. There are none for `imagenet`: no photographs of its own test
data are at hand, and those that are were chosen by its predictions.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlcv_explore.files import write_atomically
from mlcv_explore.models import checkpoints, classifiers
from mlcv_explore.models.checkpoints import CheckpointError, Classifier

FILE = "novelty.json"
UNUSUAL = 5.0  # percentile, below which an image is reported as novel
QUANTILES = np.linspace(0, 100, 101)


@dataclass(frozen=True)
class Novelty:
    """Percentiles of a prediction among those on the model's test images: low is
    unusual.
    """

    probability: float  # of its highest probability
    energy: float  # of its negative energy
    data: str  # the test images
    count: int

    @property
    def unusual(self) -> bool:
        """Whether one of the two is lower than on all but a twentieth of them."""
        return min(self.probability, self.energy) < UNUSUAL

    def text(self) -> str:
        """One sentence, where the image is unusual."""
        what = "confidence" if self.probability <= self.energy else "energy score"
        share = 100 - min(self.probability, self.energy)
        shown = f"{min(share, 99.9):.0f}" if share < 99.5 else "more than 99"
        return (
            f"Perhaps none of its classes: the {what} is lower than on {shown} % of {self.count:,}"
            f" {self.data} test images."
        )


def of_input(model: Classifier, image: np.ndarray) -> Novelty | None:
    """The novelty of an input float32 (3, side, side) to the model; None where its scores
    on test images have not been measured.
    """
    measured = _measured(checkpoints.FOLDER / FILE).get(model.name)
    if measured is None or measured["weights"] != _weights(model):  # or an own model of that name
        return None
    with torch.inference_mode():
        logits = model.network(torch.from_numpy(image)[None]).numpy()
    highest, energy = scores(logits)
    return Novelty(
        float(np.interp(highest[0], measured["probability"], QUANTILES)),
        float(np.interp(energy[0], measured["energy"], QUANTILES)),
        measured["data"],
        measured["count"],
    )


def scores(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Highest probability and negative energy of logits (n, classes): (n,) each."""
    values = torch.from_numpy(np.asarray(logits, np.float64))
    return values.softmax(1).amax(1).numpy(), values.logsumexp(1).numpy()


def measure(name: str) -> dict[str, dict[str, Any]]:
    """Measure the classifier of that name, each seed and the average of them, on its test
    images, and write the percentiles of both scores into the file. Raises CheckpointError,
    DataError.
    """
    from mlcv_explore.models import checkpoint_training

    spec = checkpoint_training.spec(name)
    if not isinstance(spec, checkpoint_training.ClassifierSpec):
        raise CheckpointError(f"{name} is no classifier: choose one of those that `checkpoints` lists.")
    dataset, measured = spec.dataset(0), {}
    members = [member for member in checkpoints.names() if member == name or member.startswith(f"{name}/")]
    for member in dict.fromkeys([name, *members]):
        model = checkpoints.load(member)
        values = scores(classifiers.predict_logits(model.network, dataset.test.images).numpy())
        quantiles = [np.percentile(score, QUANTILES).round(5).tolist() for score in values]
        measured[member] = {
            "weights": _weights(model),
            "data": dataset.name,
            "count": len(dataset.test),
            "probability": quantiles[0],
            "energy": quantiles[1],
        }
    path = checkpoints.FOLDER / FILE
    whole = (_measured(path) | measured) if path.exists() else measured
    write_atomically(path, (json.dumps(dict(sorted(whole.items()))) + "\n").encode())
    _measured.cache_clear()
    return measured


def _weights(model: Classifier) -> str:
    """What identifies the weights: the SHA-256 of the file, or those of the members."""
    members = [checkpoints.load(member).card for member in model.card.get("members", ())] or [model.card]
    return " ".join(card.get("sha256", "")[:12] for card in members)


@cache
def _measured(path: Path) -> dict[str, dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
