"""Captum's attributions of an image: another implementation of this package's methods, and
methods that this package does not have.

Captum sets hooks on the network's modules. So a copy of the network is explained, one
computation at a time in a process; draws are made before it starts. RISE and the controls
are not in Captum; its GradientShap draws from NumPy's global generator and is left out.
"""

import threading
import warnings
from dataclasses import replace

import numpy as np

from mlcv_explore.config import setting
from mlcv_explore.saliency import captum_calls
from mlcv_explore.saliency.attribution import METHODS as OWN_METHODS
from mlcv_explore.saliency.attribution import AttributionRequest, Method
from mlcv_explore.saliency.captum_calls import Progress
from mlcv_explore.saliency.methods import Attribution, SaliencySettings

PREFIX = "captum:"  # of a method's name: Captum computes it
# Methods that both have, by this package's names
AVAILABLE = tuple(
    name for name, about in OWN_METHODS.items() if not about.control and name not in ("rise", "gradient_shap")
)
METHODS = {  # those of its own with the cheapest first
    PREFIX + name: replace(about, label=f"{about.label} (Captum)")
    for name, about in {
        **{name: OWN_METHODS[name] for name in AVAILABLE},
        "lrp": Method("LRP", True),
        "feature_ablation": Method("Feature ablation", True),
        "internal_influence": Method("Internal influence", True),
        "layer_conductance": Method("Layer conductance", True),
        "kernel_shap": Method("KernelShap", True, stochastic=True),
    }.items()
}
# Those that a page lists by name; the others are this package's too
MORE = (
    PREFIX + "integrated_gradients",
    *(name for name in METHODS if name.removeprefix(PREFIX) not in AVAILABLE),
)
# Methods that read the layer that is chosen for Grad-CAM
AT_A_LAYER = ("gradcam", *(PREFIX + name for name in ("gradcam", "layer_conductance", "internal_influence")))
PATIENCE = 0.25  # seconds between two reports while another computation has its turn
_turn = threading.Lock()


class CaptumSettings(SaliencySettings):
    """Settings of all methods, those that only Captum has included."""

    superpixels: int = setting(
        40,
        "Superpixels",
        low=2,
        high=200,
        help="Regions of similar colour that KernelShap and feature ablation remove, about this many.",
    )
    coalitions: int = setting(
        500,
        "Evaluations of KernelShap",
        low=10,
        high=5000,
        help="Random sets of superpixels that are shown; more make the map less noisy.",
    )


def counterpart(name: str) -> str | None:
    """The name under which Captum computes a method of this package; None where it does
    not have it.
    """
    return PREFIX + name if name in AVAILABLE else None


def attribute(request: AttributionRequest, name: str, progress: Progress | None = None) -> Attribution:
    """Captum's attribution by one of `METHODS`.

    Differs by design from this package's methods: Grad-CAM reads the convolution before
    its activation, SmoothGrad has other draws, path steps are Gauss–Legendre and never
    doubled. `progress(evaluations, total)` is called before each batch, and while another
    computation has its turn; what it raises ends the computation. Raises SaliencyError
    where the method has no rule for this network.
    """
    bare, settings = name.removeprefix(PREFIX), request.settings
    if not isinstance(settings, CaptumSettings):
        settings = CaptumSettings(**settings.changed())
    request = replace(request, settings=settings)
    report = progress or (lambda done, total: None)
    while not _turn.acquire(timeout=PATIENCE):
        report(0, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it sets hooks
            return captum_calls.CALLS[bare](captum_calls.Call(request, METHODS[name].label, bare, report))
    finally:
        _turn.release()


def largest_difference(values: np.ndarray, reference: np.ndarray) -> float:
    """The largest absolute difference of two maps, as a share of the largest absolute value
    of the reference; infinite where that is zero and the other is not.
    """
    most, largest = float(np.abs(values - reference).max()), float(np.abs(reference).max())
    return most / largest if largest else float("inf") if most else 0.0
