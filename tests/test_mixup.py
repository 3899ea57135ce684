"""Rival mixing methods: draws of their own, and one share for features and labels."""

import pytest
import torch

from mlcv_explore.models.encoders import build_networks
from mlcv_explore.models.mixup import manifold_mixup, mixed_inputs
from mlcv_explore.seeds import numpy_stream, stream

SEEDS = (0, 1)
IMAGES = torch.rand(2, 20, 1, 8, 8, generator=stream(0, "test"))
LABELS = torch.eye(10).repeat(2, 2, 1)


@pytest.mark.parametrize("kind", ["input_mixup", "cutmix"])
def test_mixed_inputs_draw_from_a_stream_of_their_own(kind: str):
    torch.manual_seed(1)
    images, labels = mixed_inputs(kind, IMAGES, LABELS, SEEDS, 0)
    torch.manual_seed(2)
    again, _ = mixed_inputs(kind, IMAGES, LABELS, SEEDS, 0)
    assert torch.equal(images, again) and not torch.equal(images, IMAGES)
    assert not torch.equal(images, mixed_inputs(kind, IMAGES, LABELS, SEEDS, 1)[0])
    torch.testing.assert_close(labels.sum(-1), torch.ones(2, 20))


def test_input_mixup_of_vectors_is_that_of_images_of_one_pixel():
    """Each is mixed with the one before it, by the share of its own label."""
    vectors = IMAGES.flatten(2)
    mixed, labels = mixed_inputs("input_mixup", vectors, LABELS, SEEDS, 0)
    share = (labels * LABELS).sum(-1, keepdim=True)
    assert (share < 1).all() and mixed.shape == vectors.shape
    torch.testing.assert_close(mixed, share * vectors + (1 - share) * vectors.roll(1, 1))


def test_manifold_mixup_mixes_features_and_labels_with_one_share():
    networks = build_networks("dense", (1, 8, 8), 16, 10, SEEDS)
    rngs = [numpy_stream(seed, "manifold") for seed in SEEDS]
    logits, targets = manifold_mixup(networks, IMAGES, LABELS, rngs)
    shares = targets.max(-1).values.min(-1).values  # every neighbour has another class
    assert (shares < 1).all() and (shares >= 0.5).all()
    torch.testing.assert_close(targets.sum(-1), torch.ones(2, 20))
    for row, seed in enumerate(SEEDS):  # by hand
        rng = numpy_stream(seed, "manifold")
        depth, share = int(rng.integers(3)), rng.beta(2, 2)
        features = networks.partial_forward(IMAGES, 0, depth)
        mixed = share * features + (1 - share) * features.roll(1, 1)
        torch.testing.assert_close(logits[row], networks.partial_forward(mixed, depth)[row])
        torch.testing.assert_close(targets[row], share * LABELS[row] + (1 - share) * LABELS[row].roll(1, 0))
