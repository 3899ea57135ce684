"""Wrong labels: exact in number, never right, and those of a smaller share kept."""

import numpy as np
import pytest

from mlcv_explore.data.label_corruption import corrupt_labels
from mlcv_explore.seeds import numpy_stream

CLASSES = 10


@pytest.mark.parametrize("kind", ["symmetric", "pair"])
def test_wrong_labels_are_exact_never_right_and_nested(kind):
    labels = np.arange(1003) % CLASSES
    before, original = np.zeros(len(labels), dtype=bool), labels.copy()
    for corruption in (0.0, 0.1, 0.4, 0.8):
        given = corrupt_labels(labels, corruption, kind, CLASSES, numpy_stream(5, "wrong"))
        wrong = given != labels
        assert wrong.sum() == round(corruption * len(labels)) and (wrong | ~before).all()
        if kind == "pair":
            assert (given[wrong] == (labels[wrong] + 1) % CLASSES).all()
        before = wrong
    assert np.array_equal(labels, original)
    if kind == "symmetric":
        shifts = np.bincount((given[wrong] - labels[wrong]) % CLASSES, minlength=CLASSES)
        assert shifts[0] == 0 and shifts[1:].min() > 50
