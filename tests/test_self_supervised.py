"""Training without labels: the contrastive loss by hand, and encoders that change,
learn, and keep what lies above them.
"""

import copy

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.models.encoders import DenseNetworks, apply_networks, build_networks
from mlcv_explore.models.self_supervised import contrastive_loss, pretrain_encoder


def dense(width: int = 16) -> DenseNetworks:
    return build_networks("dense", (1, 8, 8), width, 10, (0,))


def digits() -> torch.Tensor:
    return data.load("digits").train.as_float()[:600]


def test_the_contrastive_loss_by_hand_and_at_its_least():
    # views of two images, at right angles
    embedded = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 3.0]]])
    by_hand = -np.log(np.exp(2) / (np.exp(2) + 2))
    assert float(contrastive_loss(embedded)) == pytest.approx(by_hand, rel=1e-5)
    assert float(contrastive_loss(embedded[:, [0, 1, 3, 2]])) > by_hand


@pytest.mark.parametrize("method", ["random", "autoencoder", "rotation", "contrastive"])
def test_pretraining_changes_the_encoder_alone_and_a_random_start_nothing(method: str):
    start = dense()
    trained = copy.deepcopy(start)
    pretrain_encoder(method, trained, 2, digits(), [0], 3)
    changed = [not torch.equal(own, other) for own, other in zip(start.weights, trained.weights, strict=True)]
    assert changed == [method != "random", method != "random", False, False]


def test_an_autoencoder_keeps_more_of_the_image_in_a_narrow_layer():
    images, errors = digits(), []
    pixels = images.flatten(1).numpy()
    for steps in (0, 100):
        network = dense(8)
        pretrain_encoder("autoencoder", network, 2, images, [0], steps)
        codes = apply_networks(network, images, 1, 0, 2)[0].numpy()
        known = np.column_stack([codes, np.ones(len(codes))])
        errors.append(np.square(pixels - known @ np.linalg.lstsq(known, pixels, rcond=None)[0]).mean())
    assert errors[1] < 0.9 * errors[0]
