"""What was pasted, against a patch that only hides, by the score that maps explain."""

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore.saliency import SaliencyError
from mlcv_explore.saliency.pasting import Effect, effect


class Channels(nn.Module):
    """Logits: ten times the mean of each channel."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) → (B, 3)."""
        return 10 * images.mean((2, 3))


BEFORE = np.zeros((3, 4, 4), np.float32)
BEFORE[0] = np.arange(16).reshape(4, 4) / 16  # mean 15/32, and 13.5/16 in the last row
MASK = np.zeros((4, 4), np.uint8)
MASK[3] = 1
AFTER = np.where(MASK, np.array([0.5, 1.0, 0.0], np.float32)[:, None, None], BEFORE)


def test_a_change_is_that_of_hiding_and_that_of_what_was_pasted() -> None:
    red = effect(Channels(), BEFORE, AFTER, MASK, 0)
    assert red.before == pytest.approx(150 / 32)
    assert red.of_hiding == pytest.approx(10 / 4 * (15 / 32 - 13.5 / 16))
    assert red.own == pytest.approx(10 / 4 * (0.5 - 15 / 32))
    assert red.change == pytest.approx(red.of_hiding + red.own)
    assert red.change < 0 < red.own  # by the change alone, evidence against what it is evidence for
    assert red.spread == pytest.approx(np.std([150 / 32, 0, 0]))
    assert red.share == pytest.approx(red.own / red.spread)


def test_a_difference_is_followed_as_one_and_a_class_has_to_exist() -> None:
    red, green = (effect(Channels(), BEFORE, AFTER, MASK, target) for target in (0, 1))
    both = effect(Channels(), BEFORE, AFTER, MASK, (0, 1))
    assert both.own == pytest.approx(red.own - green.own) and both.own < 0 < red.own
    assert both.change == pytest.approx(red.change - green.change) and both.spread == red.spread
    with pytest.raises(SaliencyError, match="between 0 and 2"):
        effect(Channels(), BEFORE, AFTER, MASK, 3)


def test_equal_logits_have_no_scale() -> None:
    assert Effect(0.0, 0.0, 1.0, 0.0).share == 0
