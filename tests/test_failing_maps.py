"""Methods that raise: each ends itself alone, and its tile states why."""

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import nn

from mlcv_explore.saliency import SaliencyError, SaliencySettings, large_images
from mlcv_explore.saliency.memory import TOGETHER, OutOfMemory
from mlcv_explore.saliency.supported import OWN, Map, Refused
from mlcv_explore.saliency.uncertainty import over_draws
from mlcv_explore.seeds import seeded
from tests.opening import words

SETTINGS = SaliencySettings(samples=2, shap_samples=2, steps=2, complete=False)
NAMES = ("smoothgrad", "gradient", "vargrad", "integrated_gradients", "gradcam", "edges", "occlusion")


class Raising(nn.Module):
    """A network that raises these errors one after another, the last again and again, where
    the gradient of an image is wanted, or in a forward pass without it; None: it does not.
    """

    def __init__(self, *errors: Exception | None, gradients: bool = True) -> None:
        super().__init__()
        self.layers = seeded(
            0,
            lambda: nn.Sequential(
                nn.Conv2d(3, 4, 5, stride=4),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(2),
                nn.Flatten(),
                nn.Linear(16, 3),
            ),
        )
        self.errors, self.gradients = list(errors), gradients
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) → (B, 3)."""
        if images.requires_grad == self.gradients and self.errors:
            error = self.errors.pop(0) if len(self.errors) > 1 else self.errors[0]
            if error:
                raise error
        return self.layers(images)


def image(side: int) -> torch.Tensor:
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(1))


def outcomes(network: nn.Module, side: int, *names: str) -> dict[str, Map | Refused]:
    made = large_images.attribute_each(network, image(side), 0, names, SETTINGS, 0)
    return {one.method: one for one in made}


@pytest.mark.parametrize("side", [16, 80])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), None),
        (MemoryError("Unable to allocate 8.00 EiB for an array"), None),
        (TypeError("unsupported operand"), "unsupported operand"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_a_method_that_raises_leaves_the_others(side: int, error: Exception, reason: str | None) -> None:
    made = outcomes(Raising(error), side, *NAMES)
    assert set(made) == set(NAMES)
    expected = outcomes(Raising(), side, *NAMES)
    for name in ("gradcam", "edges", "occlusion"):
        np.testing.assert_array_equal(made[name].values, expected[name].values)
    for name in ("smoothgrad", "gradient", "vargrad", "integrated_gradients"):
        label = OWN[name].label
        if reason is None:
            assert made[name] == OutOfMemory(name, f"{label} needs more memory than is free now.")
        else:
            assert made[name] == Refused(name, f"{label} fails for this network: {reason}.")


def test_the_method_that_raised_is_the_one_that_is_refused() -> None:
    """Two passes check what all have in common, the third is the rollout's, which comes first."""
    assert sorted(name for group in TOGETHER for name in group) == sorted(OWN)
    network = Raising(None, None, KeyError("rollout"), None, gradients=False)
    made = outcomes(network, 16, "gradient", "attention_rollout", "gradcam")
    assert made["attention_rollout"].reason.endswith("fails for this network: 'rollout'.")
    assert isinstance(made["gradient"], Map) and isinstance(made["gradcam"], Map)


def test_a_network_that_never_runs_has_a_reason_for_every_method() -> None:
    made = outcomes(Raising(MemoryError(), gradients=False), 16, *NAMES)
    assert set(made) == set(NAMES) and all(isinstance(one, OutOfMemory) for one in made.values())


def test_what_a_report_of_progress_raises_ends_the_computation() -> None:
    def ended(done: int, total: int) -> None:
        raise InterruptedError

    given = image(16), 0, ("gradient", "captum:occlusion"), SETTINGS, 0, None, ended
    made = large_images.attribute_each(Raising(), *given)
    assert next(made).method == "gradient"
    with pytest.raises(InterruptedError):
        next(made)


def test_uncertainty_without_memory_is_one_sentence() -> None:
    with pytest.raises(SaliencyError, match=r"^SmoothGrad needs more memory than is free now\.$"):
        over_draws(Raising(MemoryError()), image(16), 0, ("smoothgrad",), SETTINGS, range(2))


def page(side: int) -> None:
    import numpy as np

    from mlcv_explore.models.checkpoints import Classifier
    from mlcv_explore.ui import attribution_panel
    from mlcv_explore.ui.explained import Explained, Request
    from mlcv_explore.ui.inputs import ChosenImage
    from mlcv_explore.ui.map_view import MapView
    from tests.test_failing_maps import NAMES, OWN, SETTINGS, Raising

    card = {"input": {"size": side}, "sha256": str(side)}
    model = Classifier("raising", Raising(MemoryError()), ("a", "b", "c"), side, card)
    chosen = ChosenImage(np.full((20, 20, 3), 90, np.uint8), (20, 20), "grey", "grey")
    labels = {name: method.label for name, method in OWN.items()}
    attribution_panel.show_maps(
        [Explained(chosen, model, 0)], Request(NAMES, SETTINGS), labels, "maps", MapView()
    )


@pytest.mark.parametrize("side", [16, 80])
def test_the_tile_of_a_map_that_memory_was_lacking_for_states_it(side: int) -> None:
    app = AppTest.from_function(page, kwargs={"side": side}, default_timeout=30).run()
    assert not app.exception, app.exception
    text = words(app)
    for name in ("smoothgrad", "gradient", "integrated_gradients"):
        reason = f"**{OWN[name].label}**  \n:material/block: {OWN[name].label} needs more memory"
        assert reason in text
    assert "**Grad-CAM**" in text and text.count(":material/block:") == 4
