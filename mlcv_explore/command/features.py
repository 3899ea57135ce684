"""`features`: a data set of photographs as features of the ImageNet network."""

import argparse
import json
import time
from datetime import UTC, datetime

import numpy as np

from mlcv_explore.command.models import use_threads
from mlcv_explore.command.progress import bar
from mlcv_explore.config import SettingError

PURPOSE = "compute a set of photographs as features of the ImageNet network"
SETS = ("cifar10",)
LICENCE = "{licence} The photographs are not contained; the network's weights are Apache-2.0."


def features(options: argparse.Namespace) -> None:
    """Compute the features of a set of photographs and write them with their card."""
    if options.dataset not in SETS:
        raise SettingError(f"dataset must be one of {', '.join(SETS)}, got {options.dataset!r}.")
    use_threads(options.threads or 1)
    from mlcv_explore import data
    from mlcv_explore.data import features as stored
    from mlcv_explore.experiment import runs
    from mlcv_explore.models import photograph_features
    from mlcv_explore.models.checkpoints import CheckpointError

    name = f"{options.dataset}_features{'_full' * options.all}"
    folder = options.out or stored.file(f"{options.dataset}_features_full").parent
    started, source = time.perf_counter(), data.CATALOGUE[options.dataset]
    total = data.CATALOGUE[name].train_size + data.CATALOGUE[name].test_size
    try:
        photographs = data.load(options.dataset)
        with bar(options, name, "photograph", total) as progress:
            arrays, about = photograph_features.compute(
                photographs, options.seed or 0, options.all, progress.update
            )
    except (data.DataError, CheckpointError) as error:
        raise SettingError(str(error)) from None
    card = {
        "source": source.source,
        "licence": LICENCE.format(licence=source.licence),
        "command": " ".join([stored.COMMAND, f"--seed {about['seed']}", *["--all"] * options.all]),
        **about,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 1),
        "versions": runs.versions(),
    }
    apart = _against_shipped(name, arrays)
    card = stored.write(folder, name, arrays, card)
    if options.json:
        print(json.dumps(card))
        return
    print(
        f"{name}: {about['rows']['train']:,} training and {about['rows']['test']:,} test photographs,"
        f" {100 * about['explained_variance']:.1f} % of the variance, linear classifier"
        f" {100 * about['linear_accuracy']['accuracy']:.1f} %, {card['bytes'] / 1e6:.2f} MB in {folder},"
        f" content {card['fingerprint']}{apart}"
    )


def _against_shipped(name: str, arrays: dict[str, np.ndarray]) -> str:
    """How far new features are from those that ship, where there are such."""
    from mlcv_explore import data
    from mlcv_explore.data import features as stored

    if data.CATALOGUE[name].origin != "bundled" or not stored.file(name).is_file():
        return ""
    shipped, _ = stored.read(stored.file(name))
    parts = ("train", "test")
    if any(not np.array_equal(shipped[f"{part}_places"], arrays[f"{part}_places"]) for part in parts):
        return "; other photographs than those that ship"
    apart = max(np.abs(shipped[part].astype(float) - arrays[part].astype(float)).max() for part in parts)
    return f"; at most {apart:.2g} from those that ship"
