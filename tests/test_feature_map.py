"""Features on a map have the role of the first example of their class."""

from types import SimpleNamespace
from unittest import mock

import numpy as np

from mlcv_explore.ui import feature_map

LABELS, PLACE = np.array([0, 1, 2, 1, 0]), np.array([1.5, 2.0])


def test_the_first_example_of_a_class_gives_its_features_their_role():
    examples = {"a": (PLACE, "variant", 1), "mixed": (PLACE, "idea", None), "b": (PLACE, "other", 0)}
    assert feature_map.classes_of(LABELS, examples).tolist() == ["other", "variant", "", "variant", "other"]
    examples["b"] = (PLACE, "other", 1)
    assert feature_map.classes_of(LABELS, examples).tolist() == ["", "variant", "", "variant", ""]


def test_examples_classes_and_trail_are_drawn():
    fitted = SimpleNamespace(fitted=SimpleNamespace(coordinates=np.zeros((5, 2))))
    demo = SimpleNamespace(
        mapped=SimpleNamespace(labels=LABELS), classes=("x", "y", "z"), map=lambda _: fitted
    )
    examples = {"first": (PLACE, "variant", 1), "second": (PLACE, "other", 1)}
    outside = dict.fromkeys(("figures", "charts", "theme"), mock.DEFAULT)
    with mock.patch.multiple(feature_map, **outside) as parts:
        feature_map.show(demo, 2, examples, "key", "notice", [(0.0, 0.0)])
    drawn = parts["charts"].points.call_args
    assert drawn.args[1] == ["x", "y", "z", "y", "x"]
    assert drawn.kwargs == {
        "trail": [(0.0, 0.0)],
        "more_trails": None,
        "here": {"first": (1.5, 2.0, "variant"), "second": (1.5, 2.0, "other")},
        "names": {"variant": "y"},
    }
