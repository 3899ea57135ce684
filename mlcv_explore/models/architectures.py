"""Untrained classifiers by the name of their architecture: of this project, of torchvision
or of timm. Nothing is downloaded.

timm and torchvision are imported when a network of theirs is created, not before.
"""

import difflib
from typing import Any

import torch
from torch import nn

from mlcv_explore.models import checkpoints, classifiers
from mlcv_explore.models.checkpoints import CheckpointError

LIBRARIES = ("torchvision", "timm")
# Arguments that would fetch or read weights, or that follow from the weights
REFUSED = ("pretrained", "weights", "checkpoint", "cache_dir", "num_classes")


def create(card: dict[str, Any], count: int, name: str) -> nn.Module:
    """The untrained network of the architecture that a card names, with `count` logits,
    behind the normalisation that the card states.

    "timm/…" and "torchvision/…" name the library; without it, this project's
    architectures come before torchvision's. Raises CheckpointError, one sentence.
    """
    stated, arguments = card["architecture"], card.get("arguments", {})
    if not isinstance(stated, str) or not stated:
        raise CheckpointError(
            f'The card of {name} must name its architecture, such as "timm/vit_tiny_patch16_224", got'
            f" {stated!r:.80}."
        )
    if not isinstance(arguments, dict):
        raise CheckpointError(
            f"The card of {name} must state arguments as an object of names and values, got"
            f" {arguments!r:.80}."
        )
    refused = next((key for key in arguments if key.startswith(REFUSED)), None)
    if refused is not None:
        raise CheckpointError(
            f"The card of {name} states the argument {refused!r:.80}: weights are read from its folder alone,"
            " and the number of classes is theirs."
        )
    library, _, architecture = stated.rpartition("/")
    _check_known(library, architecture, stated, name)
    try:
        if library == "timm":
            return _timm_network(architecture, arguments, count, card["input"])
        given = {"architecture": architecture, "arguments": arguments, "classes": range(count)}
        return checkpoints.build(card | given, name)
    except Exception as error:  # what an architecture raises for its arguments is open-ended
        raise CheckpointError(
            f"The card of {name} states arguments that {stated} does not take ({shortened(error)})."
        ) from error


def shortened(error: Exception) -> str:
    """The first line of an error, or its kind, without a full stop."""
    first = (str(error).strip().splitlines() or [""])[0].strip().rstrip(".")
    return f"{first:.160}" or type(error).__name__


def _check_known(library: str, architecture: str, stated: str, name: str) -> None:
    if library not in ("", *LIBRARIES):
        raise CheckpointError(
            f"The card of {name} names the architecture {stated!r:.80}: the library must be"
            f" {' or '.join(LIBRARIES)}."
        )
    if not library and architecture in classifiers.ARCHITECTURES:
        return
    library = library or "torchvision"
    known = _names(library)
    if architecture.split(".")[0] not in known if library == "timm" else architecture not in known:
        other = "timm" if library == "torchvision" else "torchvision"
        near = difflib.get_close_matches(architecture, known, n=1)
        meant = f"{other}/{architecture}" if architecture in _names(other) else ""
        meant = meant or (f"{library}/{near[0]}" if near else "")
        hint = f"; did you mean {meant!r}?" if meant else "."
        raise CheckpointError(
            f"The card of {name} names the architecture {stated!r:.80}, which {library} does not have{hint}"
        )


def _names(library: str) -> list[str]:
    # torchvision first: timm imports it, and a build for another torch has to be cured before
    from mlcv_explore.torchvision_compat import models

    if library == "torchvision":
        return models.list_models(module=models)
    import timm

    return timm.list_models()


def _timm_network(
    architecture: str, arguments: dict[str, Any], count: int, stated: dict[str, Any]
) -> nn.Module:
    import timm

    with torch.random.fork_rng(devices=[]):
        network = timm.create_model(architecture, pretrained=False, num_classes=count, **arguments)
    return nn.Sequential(classifiers.Normalise(stated["mean"], stated["std"]), network)
