"""The mask network of the ImageNet network: what it reads, how it is trained, and the one
that ships.
"""

import numpy as np
import pytest
import torch

from mlcv_explore.data import gallery, uploads
from mlcv_explore.models import checkpoints, imagenet
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.saliency import mask_network, photograph_masker
from mlcv_explore.saliency.mask_network import MaskSettings
from mlcv_explore.saliency.photograph_masker import CHANNELS, PhotographMasker
from mlcv_explore.seeds import seeded, stream

SETTINGS = MaskSettings(low_area=4.0, high_area=4.0, updates=3, batch_size=4, rate=0.01)


def photographs(count: int, side: int) -> np.ndarray:
    draws = np.random.default_rng(0)
    return draws.integers(0, 256, (count, 3, side, side), dtype=np.uint8)


def gallery_square(name: str, side: int) -> np.ndarray:
    """A photograph of the gallery, uint8 (3, side, side)."""
    values = uploads.resized_to_square(gallery.photographs()[name].read().pixels, side)
    return (values * 255).round().clip(0, 255).astype(np.uint8)


def test_features_are_those_of_five_sides_and_the_logits_the_networks_own() -> None:
    network = imagenet.load().network
    images = torch.from_numpy(photographs(2, 64)).float() / 255
    features, logits = photograph_masker.features_and_logits(network, images)
    assert [tuple(values.shape[1:]) for values in features] == [
        (channels, side, side) for channels, side in zip(CHANNELS, (32, 16, 8, 4, 2), strict=True)
    ]
    assert torch.equal(logits, network(images)) and not network[1].blocks[0]._forward_hooks
    masker = seeded(0, PhotographMasker)
    masks = masker(features, torch.tensor([1.0, 9.0]), 64)
    assert masks.shape == (2, 64, 64) and masks.min() >= 0 and masks.max() <= 1
    other = masker(features, torch.tensor([9.0, 9.0]), 64)
    assert not torch.equal(masks, other)


def test_training_changes_the_mask_network_alone_and_explains_the_predicted_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, images = imagenet.load().network, photographs(8, 64)
    before = [parameter.clone() for parameter in network.parameters()]
    masker, given = seeded(0, PhotographMasker), []
    start = [parameter.clone() for parameter in masker.parameters()]

    def noted(classifier, images, masks, fill, area, settings, targets):
        given.append((images, masks, fill, area, targets))
        return loss(classifier, images, masks, fill, area, settings, targets)

    loss = mask_network.mask_loss
    monkeypatch.setattr(mask_network, "mask_loss", noted)
    values = list(photograph_masker.updates(masker, network, images, SETTINGS, 5))
    assert len(values) == 3 and all(np.isfinite(values)) and not masker.training
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(start, masker.parameters(), strict=True))
    shown = torch.cat([batch for batch, *_ in given[:2]])
    assert len({tuple(image.flatten()[:20].tolist()) for image in shown}) == 8  # each once before any again
    for batch, _, fill, area, targets in given:
        assert torch.equal(targets, network(batch).argmax(1)) and torch.allclose(area, torch.tensor(4.0))
        assert not torch.equal(fill, batch)
    fills = stream(5, "fills of the masker of photographs")  # of no other purpose
    assert all(torch.equal(fill, mask_network.random_fill(batch, fills)) for batch, _, fill, *_ in given)
    again = seeded(0, PhotographMasker)
    assert list(photograph_masker.updates(again, network, images, SETTINGS, 5)) == values
    for other in photograph_masker.updates(seeded(0, PhotographMasker), network, images, SETTINGS, 6):
        assert other not in values


def test_agreement_by_hand() -> None:
    network, images = imagenet.load().network, photographs(3, 64)

    class Whole(torch.nn.Module):
        def forward(self, features, area, side):
            return torch.ones(len(area), side, side)

    shares = photograph_masker.agreement(Whole(), network, images, stream(0, "fills of a test"), 4.0)
    assert shares["answer_kept"] == 1 and shares["area"] == 1
    fill = mask_network.random_fill(torch.from_numpy(images).float() / 255, stream(0, "fills of a test"))
    left = network(fill).argmax(1) == network(torch.from_numpy(images).float() / 255).argmax(1)
    assert shares["answer_left"] == pytest.approx(float(left.float().mean()))


def test_the_network_is_surest_of_half_of_the_images() -> None:
    images = photographs(5, 64)
    images[1::2] = gallery_square("cat", 64)
    kept, network = photograph_masker.surest(imagenet.load().network, images), imagenet.load().network
    sure = network(torch.from_numpy(images).float() / 255).softmax(1).amax(1)
    assert len(kept) == 3 and np.array_equal(
        kept, images[np.sort(np.argsort(-sure.numpy(), kind="stable")[:3])]
    )


def test_images_are_enlarged_to_the_side_that_is_read() -> None:
    one = np.full((2, 3, 32, 32), 77, np.uint8)
    assert (photograph_masker.enlarged(one) == 77).all()
    assert photograph_masker.enlarged(one).shape == (2, 3, 112, 112)


def test_the_mask_network_that_ships_covers_less_at_a_larger_area_weight() -> None:
    network = imagenet.load().network
    image = uploads.resized_to_square(gallery.photographs()["cat"].read().pixels, 224)
    masks = [photograph_masker.mask(image, area) for area in (5.0, 20.0, 40.0)]
    assert all(mask.shape == (224, 224) and mask.min() >= 0 and mask.max() <= 1 for mask in masks)
    assert masks[0].mean() > masks[1].mean() > masks[2].mean()
    masker, given = photograph_masker.load(), torch.from_numpy(image)
    assert np.array_equal(photograph_masker.predict(masker, network, given), masks[1])  # 20 is the default


def test_a_mask_network_of_other_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    read = checkpoints.load_network

    def stale(name: str, build: object) -> tuple[object, dict]:
        network, card = read(name, build)
        return network, card | {"classifier_sha256": "0"}

    monkeypatch.setattr(checkpoints, "load_network", stale)
    photograph_masker.load.cache_clear()
    with pytest.raises(CheckpointError, match="was trained with other weights of imagenet"):
        photograph_masker.load()
    photograph_masker.load.cache_clear()
