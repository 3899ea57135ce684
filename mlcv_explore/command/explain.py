"""`explain`: an attribution map of a prediction, as heat map and as numbers, with
checks.
"""

import argparse
import difflib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcv_explore.command.models import read_photograph, use_threads
from mlcv_explore.command.progress import bar
from mlcv_explore.config import SettingError

if TYPE_CHECKING:
    import numpy as np

    from mlcv_explore.data.model_input import Crop
    from mlcv_explore.models.checkpoints import Classifier
    from mlcv_explore.saliency import Map, Target


def explain(options: argparse.Namespace) -> None:
    """One map of one image; the heat map has the image's size, the raw map that of the
    model input.
    """
    use_threads(options.threads or 1)
    import torch

    from mlcv_explore.data import model_input, uploads
    from mlcv_explore.data.uploads import BadImage
    from mlcv_explore.models import available_models
    from mlcv_explore.models.checkpoints import CheckpointError
    from mlcv_explore.saliency import SaliencyError
    from mlcv_explore.saliency.captum_maps import CaptumSettings
    from mlcv_explore.saliency.large_images import attribute_each
    from mlcv_explore.saliency.supported import OFFERED, Refused

    if options.method not in OFFERED:
        raise SettingError(f"--method must be one of {', '.join(OFFERED)}, got {options.method!r:.80}.")
    _check_path(options.heat, ".png", "--out")
    _check_path(options.raw, ".npy", "--raw")
    started = time.perf_counter()
    try:
        model = available_models.load(options.model)
        photograph = read_photograph(options.image)
        read = model_input.of_card(model.card, options.whole)
        image = torch.from_numpy(read.array(photograph.pixels))
        target = _target(model, image, options.target)
        settings, seed = CaptumSettings(**options.changes), options.seed or 0
        with bar(options, options.method, "evaluation") as shown:

            def report(done: int, total: int) -> None:
                shown.total = total
                shown.update(done - shown.n)

            given = image, target, [options.method], settings, seed, options.layer, report
            (attribution,) = attribute_each(model.network, *given)
        if isinstance(attribution, Refused):
            raise SaliencyError(attribution.reason)
    except (BadImage, CheckpointError, SaliencyError) as error:
        raise SettingError(str(error)) from None
    seconds = time.perf_counter() - started
    drawn = uploads.size_of_map(photograph.size)
    if options.raw:
        _write_raw(attribution.values, options.raw)
    if options.heat:
        height, width = photograph.pixels.shape[:2]
        options.heat.write_bytes(heat_map(attribution, drawn, read.crop((width, height))))
    about = {
        "image": options.image,
        "target": " − ".join(
            model.classes[index] for index in (target if isinstance(target, tuple) else (target,))
        ),
        "method": attribution.method,
        "model": model.name,
        "input": read.text(photograph.size),
        "seconds": round(seconds, 4),
        "passes": {"forward": attribution.forwards, "backward": attribution.backwards},
        "map": {
            "shape": list(attribution.values.shape),
            "min": float(attribution.values.min()),
            "max": float(attribution.values.max()),
        },
        "checks": attribution.checks,
        "size": list(photograph.size),
        "notes": list(photograph.notes),
    }
    if options.heat:
        about["heat_map"] = {"file": str(options.heat), "size": list(drawn), "upright": True}
    if options.json:
        print(json.dumps(about, allow_nan=False))
    else:
        checks = "".join(
            f", {name.replace('_', ' ')} {value:.4g}" for name, value in attribution.checks.items()
        )
        print(
            f"{about['target']} by {OFFERED[attribution.method].label}: {about['map']['min']:.3g} to"
            f" {about['map']['max']:.3g}{checks}, {seconds:.2f} s\n{model.name} reads: {about['input']}"
        )
        for note in photograph.notes:
            print(f"{uploads.shown_name(options.image)}: {note}")
        if options.heat:
            print(_heat_map_line(options.heat, drawn, photograph.size))


def methods_text() -> str:
    """The names that `--method` takes, for the command's help."""
    from mlcv_explore.saliency.supported import OFFERED

    return f"methods: {', '.join(OFFERED)}"


def heat_map(attribution: "Map", size: tuple[int, int], crop: "Crop | None" = None) -> bytes:
    """A map of an image, or of its `crop`, as PNG of the image's size (width, height):
    blue against, orange for, zero the paper; amounts in one hue.
    """
    from mlcv_explore.charts import PALETTES, images
    from mlcv_explore.data.model_input import WHOLE

    placed = (crop or WHOLE).placed(attribution.values, size)
    return images.png(images.attribution(placed, attribution.signed, PALETTES["light"]))


def _heat_map_line(path: Path, drawn: tuple[int, int], size: tuple[int, int]) -> str:
    """The size of the heat map and how it lies on the image."""
    own = "the image's own size" if drawn == size else f"the image has {size[0]} × {size[1]}"
    return f"{path}: {drawn[0]} × {drawn[1]} pixels ({own}), upright"


def _target(model: "Classifier", image: Any, label: str | None) -> "Target":
    """The class of a label, the difference of two, or the predicted class."""
    import torch

    if label is None:
        with torch.no_grad():
            return int(model.network(image[None]).argmax())
    labels = [label] if label in model.classes else [part.strip() for part in label.split(",")]
    for label in labels:
        if label not in model.classes:
            near = difflib.get_close_matches(label, model.classes, n=1)
            hint = (
                f"; did you mean {near[0]!r}?"
                if near
                else f"; its classes begin with {', '.join(model.classes[:10])}."
            )
            raise SettingError(
                f"--target must be a class of {model.name}, or two with a comma for their difference, got"
                f" {label!r:.80}{hint}"
            )
    chosen = tuple(model.classes.index(label) for label in labels)
    if len(chosen) > 2:
        raise SettingError(
            f"--target must be one class of {model.name} or two with a comma, got {len(chosen)}."
        )
    return chosen[0] if len(chosen) == 1 else chosen


def _check_path(path: Path | None, ending: str, flag: str) -> None:
    if path is not None and path.suffix.lower() != ending:
        raise SettingError(f"{flag} must be a file that ends in {ending}, got {str(path)!r:.80}.")
    if path is not None and not path.parent.is_dir():
        raise SettingError(f"{flag} must lie in a folder that exists, got {str(path)!r:.80}.")


def _write_raw(values: "np.ndarray", path: Path) -> None:
    import numpy as np

    np.save(path, values, allow_pickle=False)
