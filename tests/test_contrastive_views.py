"""Contrastive views: arms without a change are equal, and each changes what it is named
after.
"""

from types import SimpleNamespace

import numpy as np
import torch

from mlcv_explore.data import few_labels
from mlcv_explore.models import contrastive_views
from mlcv_explore.models.encoders import build_networks
from mlcv_explore.seeds import stream


def settings(**strengths: float) -> SimpleNamespace:
    none = {"pixel_noise": 0.0, "pixel_shift": 0, "feature_noise": 0.0, "jitter_weight": 0.0}
    return SimpleNamespace(network="dense", width=16, contrast_steps=10, **none | strengths)


def test_every_contrastive_arm_starts_alike_and_changes_what_it_is_named_after() -> None:
    images = torch.randn(1, 6, 1, 8, 8, generator=stream(0, "test")).abs()

    def seen(arm: str, **strengths: float) -> torch.Tensor:
        networks = build_networks("dense", (1, 8, 8), 16, 10, (0,))
        views = contrastive_views.contrastive_views(arm, settings(**strengths), networks)
        return views(images, [stream(0, "contrast")])

    unchanged = seen("probe_unjittered")
    for kind in ("jitter", "noise", "mixed", "both"):
        torch.testing.assert_close(seen(f"probe_{kind}"), unchanged, msg=kind)
    torch.testing.assert_close(unchanged[:, :6], unchanged[:, 6:])
    strengths = {"pixel_noise": "jitter", "feature_noise": "noise", "jitter_weight": "mixed"}
    for name, kind in strengths.items():
        changed = seen(f"probe_{kind}", **{name: 0.5})
        assert not torch.allclose(changed[:, :6], changed[:, 6:]), kind
    mixed = contrastive_views.mix_within_batch(torch.eye(6)[None], 0.25, [stream(0, "jitter")])[0]
    torch.testing.assert_close(mixed.sum(1), torch.ones(6))
    assert mixed.max(1).values.min() >= 0.8 - 1e-6  # one partner each


def test_codes_of_pixels_are_the_pixels_of_every_part() -> None:
    images = few_labels.load("digits", (600, 297, 900), 5, [0])
    codes = contrastive_views.codes("probe_pixels", settings(), images, [0])
    for code, part in zip(codes, images.images.values(), strict=True):
        assert np.array_equal(code[0], part.flatten(1))
