"""`features`: photographs as features of the ImageNet network, at its last layer or at four."""

import argparse
import json
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mlcv_explore.command.models import use_threads
from mlcv_explore.command.progress import bar
from mlcv_explore.config import SettingError

PURPOSE = "compute a set of photographs as features of the ImageNet network"
SETS = ("cifar10",)
LICENCE = "{licence} The photographs are not contained; the network's weights are Apache-2.0."
LAYERS_SOURCE = (
    "{source}; as outliers Fashion-MNIST, scikit-learn's handwritten digits, noise, and objects and"
    " landscapes from the folders cutouts and backgrounds"
)
LAYERS_LICENCE = (
    "{licence} Fashion-MNIST: H. Xiao, K. Rasul and R. Vollgraf (Zalando), 2017; MIT. Digits: E. Alpaydin and"
    " C. Kaynak, 1998; CC BY 4.0. No image is contained; the network's weights are Apache-2.0."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which set is computed."""
    parser.add_argument("dataset", metavar="NAME", help="cifar10, from MLCV_DATA or downloaded")
    sets = parser.add_mutually_exclusive_group()
    sets.add_argument("--all", action="store_true", help="all 60,000 photographs, not 12,000")
    sets.add_argument("--layers", action="store_true", help="at four layers, with those of outliers")


def features(options: argparse.Namespace) -> None:
    """Compute the features of a set of photographs and write them with their card."""
    if options.dataset not in SETS:
        raise SettingError(f"dataset must be one of {', '.join(SETS)}, got {options.dataset!r}.")
    use_threads(options.threads or 1)
    from mlcv_explore.data import DataError
    from mlcv_explore.models.checkpoints import CheckpointError

    try:
        card, line = (_at_four_layers if options.layers else _at_the_last_layer)(options)
    except (DataError, CheckpointError) as error:
        raise SettingError(str(error)) from None
    print(json.dumps(card) if options.json else line)


def _at_the_last_layer(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Compute and write a set of the catalogue; returns its card and a line about it. Raises
    DataError, CheckpointError.
    """
    from mlcv_explore import data
    from mlcv_explore.data import features as stored
    from mlcv_explore.models import photograph_features

    started, name = time.perf_counter(), f"{options.dataset}_features{'_full' * options.all}"
    source, known = data.CATALOGUE[options.dataset], data.CATALOGUE[name]
    photographs = data.load(options.dataset)
    with bar(options, name, "photograph", known.train_size + known.test_size) as progress:
        arrays, about = photograph_features.compute(
            photographs, options.seed or 0, options.all, progress.update
        )
    apart = ""
    if known.origin == "bundled" and stored.file(name).is_file():
        shipped = stored.read(stored.file(name))[0]
        apart = _against_shipped(shipped, arrays, stored.PARTS, ("train_places", "test_places"))
    texts = source.source, LICENCE.format(licence=source.licence)
    card = _card(*texts, about, ["--all"] * options.all, started)
    card = stored.write(_folder(options), name, arrays, card)
    return card, (
        f"{name}: {about['rows']['train']:,} training and {about['rows']['test']:,} test photographs,"
        f" {100 * about['explained_variance']:.1f} % of the variance, linear classifier"
        f" {100 * about['linear_accuracy']['accuracy']:.1f} %, {card['bytes'] / 1e6:.2f} MB in"
        f" {_folder(options)}, content {card['fingerprint']}{apart}"
    )


def _at_four_layers(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The same for `cifar10_layers`: features at four layers, with those of outliers."""
    from mlcv_explore import data
    from mlcv_explore.models import layer_features

    started, source = time.perf_counter(), data.CATALOGUE[options.dataset]
    folder = _folder(options) / layer_features.NAME
    photographs = data.load(options.dataset)
    with bar(options, layer_features.NAME, "image", layer_features.COUNT) as progress:
        arrays, about = layer_features.compute(photographs, options.seed or 0, progress.update)
    apart = ""
    with suppress(data.DataError):
        shipped = {part: layer_features.read(part) for part in arrays}
        ours, theirs = (
            {f"{part} {name}": values for part, own in every.items() for name, values in own.items()}
            for every in (arrays, shipped)
        )
        labels = [name for name in ours if name.endswith("labels")]
        apart = _against_shipped(theirs, ours, ours.keys() - labels, labels)
    texts = (text.format(**vars(source)) for text in (LAYERS_SOURCE, LAYERS_LICENCE))
    card = layer_features.write(folder, arrays, _card(*texts, about, ["--layers"], started))
    kept = ", ".join(f"{100 * share:.1f}" for share in about["explained_variance"])
    size = sum(file["bytes"] for file in card["files"].values()) / 1e6
    return card, (
        f"{layer_features.NAME}: {sum(about['rows'].values()):,} images, {kept} % of the layers' variance,"
        f" {size:.2f} MB in {folder}{apart}"
    )


def _folder(options: argparse.Namespace) -> Path:
    """Where sets are written: by default where those lie that do not ship."""
    from mlcv_explore.data import features as stored

    return options.out or stored.file(f"{options.dataset}_features_full").parent


def _card(
    source: str, licence: str, about: Mapping[str, Any], flags: Sequence[str], started: float
) -> dict[str, Any]:
    """What the card of any set states."""
    from mlcv_explore.data import features as stored
    from mlcv_explore.experiment import runs

    return {
        "source": source,
        "licence": licence,
        "command": " ".join([stored.COMMAND, f"--seed {about['seed']}", *flags]),
        **about,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 1),
        "versions": runs.versions(),
    }


def _against_shipped(
    shipped: Mapping[str, np.ndarray],
    arrays: Mapping[str, np.ndarray],
    names: Collection[str],
    same: Collection[str],
) -> str:
    """How far new features are from those that ship, where both are of the same images."""
    if any(not np.array_equal(shipped[name], arrays[name]) for name in same):
        return "; other photographs than those that ship"
    apart = max(np.abs(shipped[name].astype(float) - arrays[name].astype(float)).max() for name in names)
    return f"; at most {apart:.2g} from those that ship"
