"""Classes left out, and the outliers that are known and tested."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.data import open_set
from mlcv_explore.data.open_set import OpenSet
from mlcv_explore.models import layer_features

SIZES = 400, 300, 200  # training, validation, test


def digits(seed: int) -> OpenSet:
    return open_set.prepare(data.split(data.load("digits"), *SIZES, seed), 2, seed)


def photographs(seed: int) -> OpenSet:
    parts = data.split(layer_features.dataset(), *SIZES, seed)
    return open_set.prepare(parts, 2, seed, layer_features.outliers())


def contents(images: torch.Tensor) -> set[bytes]:
    return {each.numpy().tobytes() for each in images}


def test_classes_left_out_are_other_ones_in_another_seed_and_of_none_none() -> None:
    drawn = [open_set.classes_left_out(10, 2, seed).tolist() for seed in range(20)]
    assert all(first < second for first, second in drawn) and len({*map(tuple, drawn)}) > 10
    assert {each for pair in drawn for each in pair} == {*range(10)}
    assert open_set.classes_left_out(10, 2, 3).tolist() == drawn[3]
    assert len(open_set.classes_left_out(10, 0, 3)) == 0


def test_a_part_is_divided_by_class_and_either_side_is_numbered_anew() -> None:
    whole = data.load("digits").train.take(np.arange(100))
    inside, outside = open_set.divided(whole, np.array([6, 3]))
    assert inside.classes == tuple("01245789") and outside.classes == ("3", "6")
    assert len(inside) + len(outside) == 100
    for part, rows in ((inside, ~np.isin(whole.labels, (3, 6))), (outside, np.isin(whole.labels, (3, 6)))):
        assert np.array_equal(part.images, whole.images[rows])
        names = [whole.classes[label] for label in whole.labels[rows]]
        assert [part.classes[label] for label in part.labels] == names and part.labels.dtype == np.int64
    vectors = layer_features.dataset().test
    kept, _ = open_set.divided(vectors, np.array([0]))
    assert np.array_equal(kept.places, vectors.places[vectors.labels > 0])


def test_two_classes_are_left_out_of_training_validation_and_test() -> None:
    one, other = digits(0), digits(1)
    assert len(one.classes) == 8 and {*one.classes, *one.left_out} == {*"0123456789"}
    assert one.train[1].max() == one.test[1].max() == 7
    assert len(one.train[0]) + len(one.known["near"]) == SIZES[0]
    assert len(one.test[0]) + len(one.outliers["near"]) == SIZES[2]
    assert len(one.validation[0]) == len(one.validation[1]) < SIZES[1]
    assert not torch.equal(one.outliers["near"][:5], other.outliers["near"][:5])
    seen = contents(torch.cat([one.train[0], one.validation[0]]))
    assert not seen & contents(torch.cat([one.test[0], one.outliers["near"]]))


@pytest.mark.parametrize("prepared", [digits, photographs])
def test_outliers_to_know_are_others_than_those_tested_of_the_same_kinds(prepared) -> None:
    one = prepared(0)
    assert list(one.known) == list(one.outliers) and next(iter(one.known)) == "near"
    for kind, images in one.outliers.items():
        assert not contents(images) & contents(one.known[kind]) and len(images) >= 30, kind
    assert [len(each) for each in one.groups] == [
        len(one.validation[0]),
        len(one.test[0]),
        *map(len, one.outliers.values()),
    ]
    assert torch.equal(one.all_known, torch.cat([*one.known.values()]))


def test_far_outliers_are_halved_anew_in_every_seed_and_keep_all() -> None:
    given = layer_features.outliers()
    first, second = (open_set.halves(given, seed) for seed in (0, 1))
    for kind, images in given.items():
        assert len(contents(torch.cat(first[kind])) ^ contents(images)) == 0, kind
        assert not torch.equal(first[kind][0], second[kind][0])


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 32)])
def test_far_images_have_the_shape_of_the_set_and_inverted_ones_are_its_own(channels: int, side: int) -> None:
    train, test = torch.rand(2, 250, channels, side, side).unbind()
    found = open_set.far_images(train, test, 0)
    assert list(found) == ["inverted", "scenes", "noise"]
    for known, tested in found.values():
        assert known.shape == tested.shape == (open_set.FAR_IMAGES, channels, side, side)
        assert known.min() >= 0 and tested.max() <= 1 and not torch.equal(known, tested)
    assert torch.equal(found["inverted"][0], 1 - train[:200])
    assert torch.equal(found["inverted"][1], 1 - test[:200])


def test_a_split_whose_classes_are_few_is_divided_too() -> None:
    parts = data.split(data.load("digits"), *SIZES, 0)
    few = replace(
        parts,
        **{
            name: open_set.divided(getattr(parts, name), np.arange(3, 10))[0]
            for name in ("train", "validation", "test")
        },
    )
    assert len(open_set.prepare(few, 1, 0).classes) == 2
