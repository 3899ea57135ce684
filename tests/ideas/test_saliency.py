"""Saliency: what holds of every map whatever the classifier, a classifier that reads the
tag, and the tables by hand.
"""

from functools import cache

import numpy as np
import pytest

from mlcv_explore.data import scenes
from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.saliency import (
    ARMS,
    ATTRIBUTIONS,
    CONTROLS,
    GENERATED,
    MEASURES,
    Frame,
    SaliencyConfig,
    arms,
    metrics,
    run,
    tables,
    training,
)
from mlcv_explore.saliency import METHODS
from mlcv_explore.saliency.measures import kendall
from mlcv_explore.statistics import significant_cells

SMALL = SaliencyConfig(rho=1.0, explained_scenes=3, scenes=1000, epochs=3)


@cache
def film() -> tuple[Frame, ...]:
    return tuple(run(SMALL, (0,)))


def measured(arm: str, measure: str) -> float:
    return float(film()[-1].measured[0, ARMS.index(arm), MEASURES.index(measure)])


def test_every_method_is_an_arm_in_the_order_of_its_library() -> None:
    assert (*CONTROLS, *ATTRIBUTIONS) == tuple(METHODS) == ARMS[: len(METHODS)]


def test_the_true_mask_is_the_bound_and_controls_do_not_move() -> None:
    assert [measured("truth", name) for name in ("mass", "tag", "pointing")] == [1, 0, 1]
    assert all(measured(arm, "moved") == pytest.approx(0, abs=1e-6) for arm in (*CONTROLS, "truth"))
    assert min(measured(arm, "moved") for arm in ATTRIBUTIONS) > 0.05


def test_a_classifier_trained_with_an_informative_tag_reads_it_and_maps_lie_there() -> None:
    last = film()[-1]
    assert last.accuracy[0] > 0.9 and last.swapped[0] < 0.5 and last.follows[0] > 0.9
    chance = scenes.TAG_SIDE**2 / SMALL.side**2
    assert measured("integrated_gradients", "tag") > 5 * chance > 5 * measured("centre", "tag")


def test_every_scene_has_its_share_in_the_means() -> None:
    means = [frame.measured[0, :, MEASURES.index("pointing")] for frame in film() if frame.measured.any()]
    assert len(means) == SMALL.explained_scenes
    one_by_one = np.diff([mean * count for count, mean in enumerate(means, 1)], axis=0, prepend=0)
    assert one_by_one.min() > -1e-5 and one_by_one.max() < 1 + 1e-5  # a share of one scene


def test_the_shown_maps_are_those_of_the_first_scene() -> None:
    first = next(frame for frame in film() if frame.measured.any())
    assert [frame.shown.any() for frame in film()].count(True) == 1 and first.shown.any()
    shown = first.shown[0].astype(int)
    own = [ARMS.index(arm) for arm in arms(SMALL)]
    assert set(np.abs(shown[own]).max((1, 2))) == {127}
    mask = training.explained(SMALL, 0).masks[0]
    assert np.array_equal(shown[ARMS.index("truth")], 127 * mask.astype(int))


def test_generated_maps_are_computed_only_on_request() -> None:
    config, suffix = SMALL.replace(generation=True, scenes=50, epochs=1, explained_scenes=1), "_mass"
    requested, default = (
        {name.removesuffix(suffix) for name in columns}
        for columns in (metrics(config, list(run(config, (0,)))), metrics(SMALL, film()))
    )
    assert set(GENERATED) <= requested and not set(GENERATED) & default


def test_the_scenes_explained_have_uninformative_tags() -> None:
    # of a classifier whose own tags always agree
    explained = training.Experiment(SMALL.replace(explained_scenes=150, scenes=50), 3).explained
    assert 0.1 < (explained.tags == explained.labels).mean() < 0.4  # a quarter, of 150


def table(rho: str, values: dict[str, dict[str, list[float]]]) -> Table:
    return Table(
        [
            {"claim": "tags", "arm": arm, "rho": rho, "seed": seed, "measure": measure, "value": value}
            for arm, measures in values.items()
            for measure, column in measures.items()
            for seed, value in enumerate(column)
        ]
    )


@pytest.mark.parametrize(("rho", "of_cause"), [(0.25, -1), (1.0, 1)], ids=["object", "tag"])
def test_rankings_that_agree_have_tau_one_and_opposite_ones_minus_one(rho: float, of_cause: int) -> None:
    """The cause is the object, which is ranked against the others, or the tag."""
    values = {
        arm: {
            name: [value] * 2
            for name, value in zip(MEASURES[:6], (-rank, rank, 0, 5, rank + 5, rank), strict=True)
        }
        for rank, arm in enumerate(ATTRIBUTIONS)
    }
    agreed = kendall(tables.rankings(table(str(rho), values), rho))
    assert agreed["model-dependent", "faithful"].mean == pytest.approx(1)
    assert agreed["faithful", "on the true cause"].mean == pytest.approx(of_cause)


def test_methods_are_compared_with_the_best_control_of_each_property_seed_by_seed() -> None:
    flat = {measure: [0.5, 0.5, 0.5] for measure in MEASURES}
    values = dict.fromkeys((*ATTRIBUTIONS, *CONTROLS), flat) | {
        "edges": flat | {"mass": [0.5, 0.7, 0.8]},
        "centre": flat | {"insertion": [0.7, 0.7, 0.7]},
        "blind": flat | {"mass": [0.6, 0.7, 0.8]},
        # 0.15 above the image-only network of its own seed, to the last
        "gradient": flat | {"mass": [0.75, 0.85, 0.95], "deletion": [0.5, 0.1, 0.3]},
    }
    controls, differences = tables.over_best_control(table("0.25", values), 0.25)
    assert controls == ("centre", "blind") and differences.shape == (12, 2, 3)
    mean, low, high, significant = significant_cells(differences)
    assert mean[0] == pytest.approx([0.0, 0.15]) and significant[0].tolist() == [False, True]
    assert (low[0, 1], high[0, 1]) == pytest.approx((0.15, 0.15))
    assert mean[1] == pytest.approx([-0.2, -0.2]) and significant[1].tolist() == [True, False]


def test_the_learned_map_is_measured_on_the_cause_of_each_classifier() -> None:
    rows = [
        *table("0.25", {arm: {"mass": [0.6, 0.8], "tag": [0.0, 0.0]} for arm in GENERATED}).rows,
        *table("1.0", {arm: {"mass": [0.0, 0.0], "tag": [0.3, 0.5]} for arm in GENERATED}).rows,
    ]
    on_object, on_tag = Table(rows).cross([{"arm": arm} for arm in GENERATED], tables.LEARNED).values()
    assert [interval.mean for interval in on_object] == pytest.approx([0.7] * 3)
    assert [interval.mean for interval in on_tag] == pytest.approx([0.4] * 3)
