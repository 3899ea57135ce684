"""f: whether a part of an item explains it, with glyphs and a classifier of their own."""

from functools import cache, partial

import numpy as np
import pytest
import torch

from mlcv_explore.data import glyphs, strokes
from mlcv_explore.models.vector_classifiers import predict_logits, train, with_removals
from mlcv_explore.saliency.acceptance import Check, Checker, Rules, unit_random_sets
from mlcv_explore.seeds import stream

FIRST = strokes.placed(16)
GRAMMAR = glyphs.grammar(0)
VALUES = glyphs.generate(GRAMMAR, 40, 0, "tested").values


@cache
def classifier() -> torch.nn.Sequential:
    atoms, generator = torch.from_numpy(np.array(FIRST)), stream(0, "disturbed")
    augment = partial(with_removals, atoms=atoms, generator=generator)
    return train(glyphs.generate(GRAMMAR, 60, 0, "judged"), 10, 16, 4, 0, "judge", augment)


def check(images: np.ndarray, *rules: object, empty: bool = False) -> Check:
    """f of these reconstructions of the test glyphs."""
    checker = Checker(classifier(), VALUES, unit_random_sets(FIRST, len(VALUES), 0, "test"), Rules(*rules))
    return checker(images, np.full(len(VALUES), empty))


@pytest.mark.parametrize("tests", [(True,) * 3, *np.eye(3, dtype=bool).tolist(), (False,) * 3])
def test_an_empty_explanation_never_passes(tests: tuple[bool, ...]) -> None:
    assert not check(np.zeros((40, 256)), 0, 0, tuple(tests), empty=True).passed.any()


@pytest.mark.parametrize("drop", [0.0, 1.0, 10.0])
def test_an_item_explains_itself(drop: float) -> None:
    """No more log-odds can be lost than by removing X."""
    result = check(VALUES.copy(), 1.0, drop)
    assert result.passed.all() and result.results.all() and (result.required <= drop).all()


def test_each_test_of_f_rejects_what_it_should() -> None:
    half = check(0.5 * VALUES, 0.9, 1, (True, False, False))
    np.testing.assert_allclose(half.energy, 0.75, atol=1e-5)
    assert half.passed_at(0.7).all() and not half.passed_at(0.9).any()
    assert not half.passed.any() and check(0.5 * VALUES, 0.7, 1, (True, False, False)).passed.all()
    other = VALUES[np.roll(np.arange(len(VALUES)), 1)]
    same = predict_logits(classifier(), other).argmax(1) == predict_logits(classifier(), VALUES).argmax(1)
    np.testing.assert_array_equal(check(other, 0, 0, (False, True, False)).passed, same)
    random = unit_random_sets(FIRST, len(VALUES), 0, "test")[0] * np.linalg.norm(VALUES, axis=1)[:, None]
    removal = 0, 0.5, (False, False, True)
    assert check(random, *removal).passed.mean() < 0.5  # a random set is no better than random sets
    assert check(VALUES.copy(), *removal).passed.all()


def test_a_lower_threshold_leaves_the_other_tests_of_f() -> None:
    result = check(0.8 * VALUES, 0.99)
    np.testing.assert_array_equal(result.passed_at(0), result.results[1] & result.results[2])
    np.testing.assert_array_equal(result.passed_at(0.99), result.passed)
    assert not check(0.8 * VALUES, 0.0, empty=True).passed_at(0).any()
