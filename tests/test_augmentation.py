"""Augmentation and copy-paste by hand, at their limits, and in their units."""

import itertools

import numpy as np
import pytest
import torch

from mlcv_explore.data import augmentation, compositing
from mlcv_explore.seeds import stream


def random(*shape: int, purpose: str = "test") -> torch.Tensor:
    return torch.randn(shape, generator=stream(0, purpose))


def one_hot(labels: list[int], classes: int = 4) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).float()


def test_quarter_turns_rotate_each_image_by_its_own() -> None:
    images, turns = random(2, 3, 1, 8, 8), torch.tensor([[0, 1, 2], [3, 0, 0]])
    rotated = augmentation.rotate_quarter_turns(images, turns)
    for row, column in itertools.product(range(2), range(3)):
        by_hand = torch.rot90(images[row, column], int(turns[row, column]), (-2, -1))
        assert torch.equal(rotated[row, column], by_hand)


def test_jitter_shifts_evenly_and_adds_noise_of_its_standard_deviation() -> None:
    images = random(2, 3, 1, 8, 8)
    generators = [stream(seed, "jitter") for seed in range(2)]
    assert torch.equal(augmentation.jitter(images, 0.0, 0, generators), images)
    spot = torch.zeros(1, 200, 1, 8, 8)
    spot[..., 4, 4] = 1
    moved = augmentation.jitter(spot, 0.0, 1, generators[:1])
    assert torch.equal(moved.sum((2, 3, 4)), torch.ones(1, 200))
    places = {tuple(place.tolist()) for place in torch.nonzero(moved)[:, 3:]}
    assert places == set(itertools.product((3, 4, 5), repeat=2))
    noisy = augmentation.jitter(torch.zeros(1, 100, 1, 8, 8), 0.3, 0, generators[:1])
    assert float(noisy.std()) == pytest.approx(0.3, rel=0.05)


def test_feature_noise_is_in_units_of_each_features_standard_deviation() -> None:
    features = random(1, 400, 2) * torch.tensor([1.0, 10.0])
    added = (augmentation.add_feature_noise(features, 0.5, [stream(0, "noise")]) - features)[0].std(0)
    torch.testing.assert_close(added, 0.5 * features[0].std(0), rtol=0.15, atol=0)


def test_an_empty_mask_pastes_nothing_and_a_full_one_everything() -> None:
    first, second = random(2, 3, 4, 4), random(2, 3, 4, 4, purpose="other")
    empty, half = torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    half[..., :2] = 1
    assert torch.equal(compositing.paste(first, second, empty), first)
    torch.testing.assert_close(compositing.paste(first, second, empty + 1), second)
    pasted = compositing.paste(first, second, half)
    torch.testing.assert_close(pasted[..., :2], second[..., :2])
    assert torch.equal(pasted[..., 2:], first[..., 2:])
    torch.testing.assert_close(compositing.paste(first, second, empty + 0.25), 0.75 * first + 0.25 * second)


def test_square_masks_have_their_area_and_lie_inside() -> None:
    areas, places = torch.tensor([0.0, 16.0, 100.0, 1024.0, 2000.0]), torch.tensor([[0.99, 0.0]] * 5)
    masks = compositing.square_masks(areas, places, 32)
    assert masks.sum((1, 2, 3)).tolist() == [0, 16, 100, 1024, 1024]
    rows = torch.nonzero(masks[1, 0])
    assert rows.min(0).values.tolist() == [28, 0] and rows.max(0).values.tolist() == [31, 3]


def test_labels_after_pasting_follow_what_is_visible_or_the_area() -> None:
    own, other = one_hot([0, 0, 0]), one_hot([1, 1, 1])
    masks = torch.zeros(2, 3, 1, 4, 4)
    masks[0, :, 0, 0, :] = 1  # the own object: the first row
    masks[1, :, 0, :, 0] = 1  # the other object: the first column
    through = masks[1].clone()
    through[1] = 0  # nothing is pasted
    through[2] = 1 - masks[1][2]  # all but the other object is pasted
    by_hand = torch.tensor([[3 / 7, 4 / 7, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    torch.testing.assert_close(compositing.labels_by_visibility(own, other, *masks, through), by_hand)
    by_hand = torch.tensor([[3 / 4, 1 / 4, 0, 0], [1, 0, 0, 0], [1 / 4, 3 / 4, 0, 0]])
    torch.testing.assert_close(compositing.labels_by_area(own, other, through), by_hand)


def test_the_estimated_mask_is_what_differs_from_the_border() -> None:
    image = np.full((3, 9, 9), 0.8, np.float32)
    image[:, 3:6, 2:6] = 0.1
    mask = compositing.estimated_mask(image)
    assert mask[3:6, 2:6].all() and mask.sum() == 12
    assert compositing.estimated_mask(np.full((3, 8, 8), 0.3, np.float32)).all()
