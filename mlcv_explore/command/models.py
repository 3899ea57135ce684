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

    from mlcv_explore.data.uploads import UploadedImage
    from mlcv_explore.models.novelty import Novelty

TOP = 5  # labels reported per image
BATCH = 64  # images in one pass: their activations fit the processor's cache


def checkpoints(options: argparse.Namespace) -> None:
    """List the checkpoints that ship, the ImageNet network, and their metrics."""
    from mlcv_explore.models import checkpoints, imagenet

    cards = [
        checkpoints.read_card(checkpoints.FOLDER / name, name, ("architecture", "metrics"))
        for name in checkpoints.names(None)
    ]
    cards.append(imagenet.CARD)
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
    from mlcv_explore.data import model_input, uploads
    from mlcv_explore.models import available_models, classifiers, novelty
    from mlcv_explore.models.checkpoints import CheckpointError

    try:
        model = available_models.load(options.model)
        given = model_input.of_card(model.card, options.whole)
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
                    pixels.append(given.array(photograph.pixels))
                    row["input"] = given.text(photograph.size)
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
                novelties = (novelty.of_input(model, array) for array in pixels)
                for row, percentiles in zip((row for row in rows if "top" in row), novelties, strict=True):
                    if percentiles is not None:
                        row["novelty"] = _novelty(percentiles)
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
                    + f" ({row['input']})"
                    + (f". {row['novelty']['sentence']}" if row.get("novelty", {}).get("unusual") else "")
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


def add_model(parser: argparse.ArgumentParser) -> None:
    """The flags of a command that predicts."""
    parser.add_argument(
        "--model",
        default="imagenet",
        metavar="NAME",
        help="a classifier, such as cifar10; `checkpoints` lists them (default imagenet: 1,000 classes)",
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="resize the whole image; by default a model of ImageNet reads the published centre crop",
    )


def novelty(options: argparse.Namespace) -> None:
    """Measure confidence and energy of a shipped classifier on its test images."""
    use_threads(_cores())
    from mlcv_explore.data import DataError
    from mlcv_explore.models import checkpoints, novelty

    try:
        measured = novelty.measure(options.checkpoint)
    except (DataError, checkpoints.CheckpointError) as error:
        raise SettingError(str(error)) from None
    if options.json:
        print(json.dumps(measured))
        return
    for name, values in measured.items():
        print(
            f"{name}: 5 % of {values['count']:,} test images of {values['data']} have a highest probability"
            f" below {values['probability'][5]:.3f}, 5 % a negative energy below {values['energy'][5]:.3f}"
        )


def read_photograph(path: str) -> "UploadedImage":
    """A photograph from a file. Raises BadImage."""
    from mlcv_explore.data import uploads

    return uploads.read_file(Path(path))


def _top(probabilities: "np.ndarray", classes: tuple[str, ...]) -> list[dict[str, Any]]:
    best = probabilities.argsort()[::-1][:TOP]
    return [{"label": classes[index], "probability": round(float(probabilities[index]), 6)} for index in best]


def _novelty(percentiles: "Novelty") -> dict[str, Any]:
    """Percentiles among the model's test images, low is unusual; a sentence where one is."""
    row = {
        "probability_percentile": round(percentiles.probability, 2),
        "energy_percentile": round(percentiles.energy, 2),
        "unusual": percentiles.unusual,
    }
    return row | ({"sentence": percentiles.text()} if percentiles.unusual else {})


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(count: int) -> None:
    """Set torch's threads; the variable counts when torch is first imported."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    import torch

    torch.set_num_threads(count)
