"""Bundled tables and random parts of them."""

from types import SimpleNamespace

import numpy as np
import pytest

from mlcv_explore.data import tabular
from mlcv_explore.metrics.regression import explained_variance
from mlcv_explore.seeds import numpy_stream


@pytest.mark.parametrize("name", tabular.NAMES)
def test_a_table_is_standardised(name):
    table = tabular.load(name)
    np.testing.assert_allclose(table.columns.mean(0), 0, atol=1e-9)
    images = name in ("digits", "cifar10_features")
    deviations = table.columns.std() if images else table.columns.std(0)
    np.testing.assert_allclose(deviations, 1)
    assert (name in tabular.WIDE) == (table.columns.shape[1] >= 10)
    if table.classes:
        assert set(table.target.tolist()) == set(range(table.classes))
    else:
        assert (table.target.mean(), table.target.std()) == pytest.approx((0, 1))


def test_parts_are_disjoint_and_in_proportion():
    parts = tabular.draw_parts(("wine", "breast_cancer"), 160, (2, 1, 1), numpy_stream(1, "parts"))
    assert [len(part.target) for part in parts] == [80, 40, 40]
    rows = np.concatenate([part.columns for part in parts])
    assert len(np.unique(rows, axis=0)) == 160
    table = next(
        table for table in map(tabular.load, tabular.WIDE) if table.columns.shape[1] == rows.shape[1]
    )
    for part in parts:  # rows keep their targets
        places = (table.columns[:, None] == part.columns).all(-1).argmax(0)
        np.testing.assert_array_equal(table.target[places], part.target)


@pytest.mark.parametrize("name", ["digits", "diabetes"])
def test_a_problem_is_centred_by_its_training_part(name):
    problem = tabular.draw_problem((name,), 240, numpy_stream(2, name))
    assert [len(part) for part in problem.target] == [120, 60, 60]
    np.testing.assert_allclose(problem.columns[0].mean(0), 0, atol=1e-9)
    assert problem.target[0].mean() == pytest.approx(0, abs=1e-9)
    assert abs(problem.columns[2].mean(0)).max() > 1e-3
    if name == "digits":  # one class against the others; some pixels are never inked
        assert problem.columns[0].shape[1] < 64
        assert len(np.unique(np.concatenate(problem.target))) == 2
        classes = tabular.draw_problem((name,), 240, numpy_stream(2, name), classes=True)
        assert set(classes.target[0].tolist()) == set(range(10))


def test_explained_variance_by_hand():
    target = np.array([1.0, 2.0, 3.0])
    outputs = (target, np.full(3, 2.0), np.array([3.0, 2.0, 1.0]))
    assert [explained_variance(target, output) for output in outputs] == pytest.approx([1, 0, -3])
    assert explained_variance(np.ones(3), target) == 0


def test_tables_of_photographs_hold_the_classes_they_are_named_after(monkeypatch):
    labels = np.sort(np.arange(40) % 10)
    images = numpy_stream(0, "images").integers(256, size=(40, 3, 32, 32), dtype=np.uint8)
    parts = SimpleNamespace(train=SimpleNamespace(images=images, labels=labels))
    monkeypatch.setattr(tabular.data, "load", lambda name: parts)
    monkeypatch.setattr(tabular, "MOST", 20)
    table = tabular.load.__wrapped__("vehicle pixels")
    assert table.columns.shape == (16, tabular.SIDE**2) and table.classes == 4
    assert set(table.target.tolist()) == {0, 1, 2, 3}
    np.testing.assert_allclose([table.columns.mean(), table.columns.std()], [0, 1], atol=1e-9)
    assert len(tabular.load.__wrapped__("clothing pixels").target) == 20
    kept = [set(labels) for name, labels in tabular.PHOTOGRAPHS.values() if name == "cifar10"]
    assert set.union(*kept) == set(range(10)) and not set.intersection(*kept)  # no photograph in two
