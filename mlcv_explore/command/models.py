"""`checkpoints`, `train` and `predict`: the networks that ship, their metrics, and
predictions of classifiers.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcv_explore.command.progress import bar
from mlcv_explore.command.tables import table
from mlcv_explore.config import SettingError

if TYPE_CHECKING:
    import numpy as np

TOP = 5  # labels reported per image
BATCH = 64  # images in one pass: their activations fit the processor's cache


def checkpoints(options: argparse.Namespace) -> None:
    """List the checkpoints that ship and their metrics."""
    from mlcv_explore.models import checkpoints

    cards = [
        checkpoints.read_card(checkpoints.FOLDER / name, name, ("architecture", "metrics"))
        for name in checkpoints.names(None)
    ]
    if options.json:
        print(json.dumps({"checkpoints": cards}))
        return
    rows = []
    for card in cards:
        kind = card.get("kind", checkpoints.CLASSIFIER)
        rows.append(
            (
                card["name"],
                kind,
                card["data"]["name"],
                f"{card['parameters']:,}",
                _result(card),
                card["command"],
            )
        )
    print(table(("name", "kind", "data", "weights", "measured", "made by"), rows))


def train(options: argparse.Namespace) -> None:
    """Train one seed of a checkpoint that ships; a stopped training resumes."""
    use_threads(options.threads or 1)
    from mlcv_explore.data import DataError
    from mlcv_explore.models import checkpoint_training, checkpoints

    seed = options.seed or 0
    hyperparameters = checkpoint_training.spec(options.checkpoint).hyperparameters.replace(**options.changes)
    with bar(options, f"{options.checkpoint}/{seed}", "epoch") as progress:

        def report(done: int, epochs: int, loss: float, accuracy: float) -> None:
            progress.total = epochs
            progress.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}")
            progress.update(done - progress.n)

        try:
            card = checkpoint_training.train(options.checkpoint, seed, hyperparameters, options.out, report)
        except (DataError, checkpoints.CheckpointError) as error:
            raise SettingError(str(error)) from None
    if options.json:
        print(json.dumps(card))
        return
    print(f"{card['name']}: {_result(card)}, {card['seconds']:.0f} s")


def _result(card: dict[str, Any]) -> str:
    """The first metric of a card: "test accuracy 0.8804"."""
    name, value = next(iter(card["metrics"].items()))
    return f"{name.replace('_', ' ')} {value:.4f}"


def predict(options: argparse.Namespace) -> None:
    """Classify images; unreadable ones are reported, the rest are processed."""
    use_threads(options.threads or _cores())
    from mlcv_explore.data import uploads
    from mlcv_explore.models import available_models, classifiers
    from mlcv_explore.models.checkpoints import CheckpointError

    try:
        model = available_models.load(options.model)
    except CheckpointError as error:
        raise SettingError(str(error)) from None
    results: list[dict[str, Any]] = []
    with bar(options, "predict", "image", len(options.images)) as progress:
        for start in range(0, len(options.images), BATCH):
            rows, pixels = [], []
            for path in options.images[start : start + BATCH]:
                row: dict[str, Any] = {"image": path}
                try:
                    photograph = read_photograph(path)
                    pixels.append(uploads.resized_to_square(photograph.pixels, model.side))
                    row["notes"] = list(photograph.notes)
                except uploads.BadImage as error:
                    row["error"] = str(error)
                rows.append(row)
            if pixels:
                probabilities = classifiers.predict_probabilities(model.network, pixels)
                for row, row_probabilities in zip(
                    (row for row in rows if "error" not in row), probabilities, strict=True
                ):
                    row["top"] = _top(row_probabilities, model.classes)
            results += rows
            progress.update(len(rows))
    rejected = [row for row in results if "error" in row]
    if options.json:
        print(json.dumps({"images": results}))
    else:
        for row in results:
            if "top" in row:
                print(
                    f"{row['image']}: "
                    + ", ".join(f"{best['label']} {best['probability']:.3f}" for best in row["top"])
                    + "".join(f"; {note}" for note in row["notes"])
                )
    if rejected:
        sys.stdout.flush()
        count = len(rejected)
        raise SettingError(
            rejected[0]["error"]
            if count == 1
            else f"{count} images were rejected; the first: {rejected[0]['error']}"
        )


def read_photograph(path: str) -> Any:
    """A photograph from a file. Raises BadImage."""
    from mlcv_explore.data import uploads

    return uploads.read_file(Path(path))


def _top(probabilities: "np.ndarray", classes: tuple[str, ...]) -> list[dict[str, Any]]:
    best = probabilities.argsort()[::-1][:TOP]
    return [{"label": classes[index], "probability": round(float(probabilities[index]), 6)} for index in best]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(count: int) -> None:
    """Set torch's threads; the variable counts when torch is first imported."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    import torch

    torch.set_num_threads(count)
