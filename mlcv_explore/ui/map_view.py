"""How attribution maps are shown and tested: settings of a panel."""

from collections.abc import Mapping
from typing import ClassVar

from mlcv_explore.config import Config, setting


class MapView(Config):
    """How maps are shown and tested; nothing here is trained."""

    renamed: ClassVar[Mapping[str, str]] = {"doubt": "uncertainty"}
    randomised: int = setting(0, "Layers randomised, from the top", low=0, high=60, step=1)
    uncertainty: str = setting(
        "none",
        "Uncertainty",
        choices=("none", "draws", "seeds"),
        help="Hatched where fewer than four in five random draws, or seeds of the model, agree.",
    )
    scale: str = setting(
        "own",
        "Scale",
        choices=("common", "own"),
        help="Own: raw values, up to the 99th percentile. Common: multiples of a map's mean, one range.",
    )
    signs: str = setting(
        "signed",
        "Values",
        choices=("signed", "absolute"),
        help="Signed: orange is evidence for the class, blue against it.",
    )
    overlay: float = setting(0.6, "Overlay opacity", low=0, high=1, step=0.05, help="At 1 the map alone.")
    finer: bool = setting(
        False,
        "Finer maps",
        help="On large images the full number of steps, noisy images and squares; several times slower.",
    )
    implementation: str = setting(
        "mlcv-explore",
        "Implementation",
        choices=("mlcv-explore", "captum"),
        help="Captum: the same methods and settings, computed by that library on a copy of the network.",
    )
    check: bool = setting(
        False,
        "Check against Captum",
        help="Captum's map beside each that it has, with the largest difference. By design its Grad-CAM reads"
        " features before their activation, SmoothGrad has other draws, and paths have other steps.",
    )
    removed: float = setting(0.0, "Share of pixels removed", low=0, high=1, step=0.05)
    fill: str = setting(
        "mean",
        "Baseline fill",
        choices=("mean", "blur", "noise"),
        help="Mean colour of the image, its blur, or noise of its mean and deviation.",
    )
