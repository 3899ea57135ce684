"""How a claim is decided: against SciPy, against slow references, and by simulation
where the promise is one of probability.
"""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlcv_explore.statistics import (
    Claim,
    Direction,
    Interval,
    Split,
    Verdict,
    bootstrap_interval,
    decide,
    holm,
    power,
    ratio_interval,
    resampled_interval,
    seeds_needed,
    significant_cells,
    smallest_detectable_effect,
    smallest_tie_margin,
    t_interval,
    thresholds,
    tie_power,
)
from mlcv_explore.statistics.power import MOST_SEEDS

# sums and shifts of them are exact
sixteenths = st.lists(st.integers(-64, 64).map(lambda value: value / 16), min_size=2, max_size=12)


def claim(
    direction: Direction = "greater", margin: float = 0.0, arms: int = 1, unit: str = "points"
) -> Claim:
    """Arms a, b, … each against z."""
    return Claim(
        "made",
        "One arm beats another.",
        "accuracy",
        unit,
        direction,
        margin,
        tuple((name, "z") for name in "abcdef"[:arms]),
    )


def decided(
    differences: list[float] | np.ndarray,
    direction: Direction = "greater",
    margin: float = 0.0,
    **rest: object,
) -> Verdict:
    """The verdict on paired differences of one contrast."""
    values = np.asarray(differences, dtype=float)
    return decide(claim(direction, margin), {"a": values, "z": np.zeros_like(values)}, **rest)


def decided_together(
    differences: np.ndarray, direction: Direction = "greater", margin: float = 0.0
) -> Verdict:
    """The verdict on several contrasts, (arms, S)."""
    return decide(
        claim(direction, margin, len(differences)),
        {"z": np.zeros(differences.shape[1]), **dict(zip("abcdef", differences, strict=False))},
    )


def share(experiments: np.ndarray, happens: Callable[[np.ndarray], bool]) -> float:
    """Of experiments stacked along the first axis, the share in which it happens."""
    return float(np.mean([happens(values) for values in experiments]))


def error_of(probability: float, trials: int) -> float:
    """Three binomial standard errors."""
    return 3 * math.sqrt(probability * (1 - probability) / trials)


# intervals


@pytest.mark.parametrize("level", [0.8, 0.95, 0.9875])
@pytest.mark.parametrize("n", [2, 3, 10, 200])
def test_the_t_interval_is_scipys(n: int, level: float) -> None:
    values = np.random.default_rng(n).gamma(2.0, size=n)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(level)
    interval = t_interval(values, level)
    assert (interval.low, interval.mean, interval.high) == pytest.approx(
        (expected.low, values.mean(), expected.high)
    )
    assert (interval.n, interval.level) == (n, level)


def test_the_t_interval_covers_at_its_nominal_level() -> None:
    samples = np.random.default_rng(0).normal(0.3, 2.0, (4000, 5))
    for level in (0.95, 0.8):
        covered = share(
            samples,
            lambda values, level=level: (
                t_interval(values, level).low <= 0.3 <= t_interval(values, level).high
            ),
        )
        assert covered == pytest.approx(level, abs=error_of(level, len(samples)))


def test_one_value_has_a_mean_and_no_bounds_and_none_has_nothing() -> None:
    for interval in (
        t_interval([0.5]),
        resampled_interval([0.5], 80, 20),
        bootstrap_interval([0.5]),
        ratio_interval([0.5], [1.0]),
    ):
        assert (interval.low, interval.mean, interval.high) == (-math.inf, 0.5, math.inf)
        assert interval.as_json() == {"mean": 0.5, "low": None, "high": None, "n": 1}
    for interval in (t_interval([]), bootstrap_interval([]), ratio_interval([], [])):
        assert interval.as_json() == {"mean": None, "low": None, "high": None, "n": 0}


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_an_undefined_value_leaves_no_bounds(broken: float) -> None:
    values = [0.5, broken, 0.7]
    for interval in (
        t_interval(values),
        resampled_interval(values, 80, 20),
        bootstrap_interval(values),
        ratio_interval(values, [1.0, 1.1, 0.9]),
    ):
        assert (interval.low, interval.high) == (-math.inf, math.inf)
        assert interval.as_json()["mean"] is None


def test_equal_values_have_an_interval_of_no_width() -> None:
    for interval in (
        t_interval([0.25] * 4),
        resampled_interval([0.25] * 4, 80, 20),
        bootstrap_interval([0.25] * 4),
    ):
        assert (interval.low, interval.mean, interval.high) == (0.25, 0.25, 0.25)


def test_overlapping_splits_are_covered_by_the_corrected_interval_and_not_by_the_plain_one() -> None:
    """Ten splits of one set of 100 into 80 and 20; the measure is the mean over the
    test part and its expectation is 0.
    """
    rng = np.random.default_rng(1)
    data = rng.normal(size=(2000, 1, 100))
    tests = np.take_along_axis(data, rng.random((2000, 10, 100)).argsort(axis=-1)[..., :20], axis=-1).mean(
        axis=-1
    )
    corrected = share(
        tests,
        lambda values: resampled_interval(values, 80, 20).low <= 0 <= resampled_interval(values, 80, 20).high,
    )
    plain = share(tests, lambda values: t_interval(values).low <= 0 <= t_interval(values).high)
    assert corrected == pytest.approx(0.95, abs=error_of(0.95, len(tests)))
    assert plain < 0.8


def test_the_corrected_interval_is_wider_by_the_factor_of_nadeau_and_bengio() -> None:
    values = [0.1, 0.4, 0.2, 0.6]
    plain, corrected = t_interval(values), resampled_interval(values, 90, 10)
    assert (corrected.high - corrected.low) / (plain.high - plain.low) == pytest.approx(
        math.sqrt((1 / 4 + 10 / 90) / (1 / 4))
    )


@pytest.mark.parametrize("denominator", [1.0, 0.2])  # the second is often not clearly nonzero
def test_the_ratio_interval_covers_the_ratio_of_the_means(denominator: float) -> None:
    rng = np.random.default_rng(2)
    below = rng.normal(denominator, 0.3, (3000, 8))
    above = 2 * denominator + 0.5 * (below - denominator) + rng.normal(0, 0.4, below.shape)
    detected = [ratio_interval(one, other) for one, other in zip(above, below, strict=True)]
    covered = np.mean([interval.low <= 2.0 <= interval.high for interval in detected])
    unbounded = np.mean([math.isinf(interval.low) and math.isinf(interval.high) for interval in detected])
    assert covered >= 0.95 - error_of(0.95, len(detected))
    if denominator == 1.0:
        assert covered <= 0.95 + error_of(0.95, len(detected))
        assert unbounded == 0
    else:
        assert 0.3 < unbounded < 1.0


def test_a_ratio_to_a_constant_is_the_t_interval_divided() -> None:
    values, expected = [1.0, 3.0, 2.5, 1.5], t_interval([1.0, 3.0, 2.5, 1.5])
    interval = ratio_interval(values, [2.0] * 4)
    assert (interval.low, interval.mean, interval.high) == pytest.approx(
        (expected.low / 2, expected.mean / 2, expected.high / 2)
    )


def test_a_ratio_to_zero_is_undefined() -> None:
    assert ratio_interval([1.0, 2.0], [1.0, -1.0]).as_json() == {
        "mean": None,
        "low": None,
        "high": None,
        "n": 2,
    }


def test_the_bootstrap_is_repeatable_and_near_the_t_interval_where_that_is_right() -> None:
    values = np.random.default_rng(3).normal(size=200)
    one, other, expected = (
        bootstrap_interval(values, seed=0),
        bootstrap_interval(values, seed=1),
        t_interval(values),
    )
    assert one == bootstrap_interval(values, seed=0)
    assert (one.low, one.high) != (other.low, other.high)
    assert (one.low, one.high) == pytest.approx((expected.low, expected.high), abs=0.02)


# families


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closure_of_bonferroni(p_values: list[float]) -> None:
    """Adjusted p: the worst Bonferroni p-value of any set of hypotheses that this one
    belongs to.
    """
    indices = range(len(p_values))
    sets = [chosen for size in range(1, len(p_values) + 1) for chosen in combinations(indices, size)]
    expected = [
        max(min(1.0, len(chosen) * min(p_values[k] for k in chosen)) for chosen in sets if index in chosen)
        for index in indices
    ]
    assert holm(p_values).tolist() == pytest.approx(expected)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])


def test_cells_of_a_map_are_tested_as_a_family() -> None:
    rng = np.random.default_rng(4)
    differences = rng.normal(0, 1, (4, 5, 6))
    differences[1, 2] += 8.0
    differences[2, 2] -= 8.0
    mean, low, high, significant = significant_cells(differences)
    raw = stats.ttest_1samp(differences, 0.0, axis=-1)
    assert np.array_equal(significant, holm(raw.pvalue.ravel()).reshape(4, 5) < 0.05)
    assert significant[1, 2] and significant[2, 2]
    assert np.allclose(mean, differences.mean(axis=-1))
    assert np.allclose((low, high), raw.confidence_interval(0.95))


def test_a_map_without_effects_seldom_has_a_significant_cell() -> None:
    maps = np.random.default_rng(5).normal(size=(400, 20, 5))
    assert share(maps, lambda cells: bool(significant_cells(cells)[3].any())) <= 0.05 + error_of(
        0.05, len(maps)
    )
    uncorrected = share(
        maps, lambda cells: bool((stats.ttest_1samp(cells, 0.0, axis=-1).pvalue < 0.05).any())
    )
    assert uncorrected > 0.5


def test_a_cell_is_significant_beyond_the_margin_only() -> None:
    cells = np.array([[0.5, 0.51, 0.49], [-0.5, -0.51, -0.49], [0.3, 0.31, 0.29]])
    assert significant_cells(cells, margin=0.4)[3].tolist() == [True, True, False]


def test_an_undefined_cell_and_a_single_seed_are_never_significant() -> None:
    cells = np.array([[5.0, 5.1, 5.2], [5.0, math.nan, 5.2]])
    mean, _, _, significant = significant_cells(cells)
    assert significant.tolist() == [True, False]
    assert math.isnan(mean[1])
    assert not significant_cells(cells[:, :1])[3].any()


# verdicts


@given(sixteenths, st.integers(-32, 32).map(lambda value: value / 16))
def test_superiority_is_scipys_paired_interval_against_the_margin(
    differences: list[float], margin: float
) -> None:
    base = np.arange(len(differences), dtype=float)
    verdict = decide(claim("greater", margin), {"a": base + differences, "z": base})
    if np.ptp(differences) == 0:
        low = high = differences[0]
    else:
        low, high = stats.ttest_rel(base + differences, base).confidence_interval(0.95)
    expected = "supported" if low > margin else "contradicted" if high < margin else "undecided"
    if min(abs(low - margin), abs(high - margin)) > 1e-9 or low == high:
        assert verdict.status == expected
    assert (verdict.estimates[0].interval.low, verdict.estimates[0].interval.high) == pytest.approx(
        (low, high)
    )


@given(sixteenths, st.integers(1, 32).map(lambda value: value / 16))
def test_a_tie_is_two_one_sided_tests(differences: list[float], margin: float) -> None:
    if np.ptp(differences) == 0:
        inside, outside = abs(differences[0]) < margin, abs(differences[0]) > margin
    else:
        above = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
        below = stats.ttest_1samp(differences, margin, alternative="less").pvalue
        low, high = stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
        inside, outside = max(above, below) < 0.05, low > margin or high < -margin
        if min(abs(max(above, below) - 0.05), abs(low - margin), abs(high + margin)) < 1e-9:
            return
    assert decided(differences, "equal", margin).status == (
        "supported" if inside else "contradicted" if outside else "undecided"
    )


def test_what_is_not_significant_is_not_a_tie() -> None:
    differences = [0.3, -0.25, 0.2, -0.2, 0.1]
    assert stats.ttest_1samp(differences, 0.0).pvalue > 0.5
    assert decided(differences, "equal", 0.02).status == "undecided"
    assert decided(differences, "different", 0.02).status == "undecided"


@given(sixteenths, st.integers(0, 32).map(lambda value: value / 16))
def test_less_mirrors_greater_and_different_mirrors_equal(differences: list[float], margin: float) -> None:
    negated = [-value for value in differences]
    assert decided(differences, "greater", margin).status == decided(negated, "less", margin).status
    swapped = {"supported": "contradicted", "contradicted": "supported", "undecided": "undecided"}
    for values in (differences, negated):
        assert decided(values, "equal", margin).status == swapped[decided(values, "different", margin).status]
    assert decided(differences, "equal", margin).status == decided(negated, "equal", margin).status


@given(sixteenths, st.integers(-32, 32).map(lambda value: value / 16), st.randoms(use_true_random=False))
def test_only_paired_differences_count_and_never_the_order_of_seeds(
    differences: list[float], shift: float, random: object
) -> None:
    values = np.array(differences)
    order = list(range(len(values)))
    random.shuffle(order)
    base = np.linspace(0, 1024, len(values)).round()
    plain = decided(values, "greater", 0.5)
    shuffled = decide(claim("greater", 0.5), {"a": (base + values)[order], "z": base[order]})
    assert (shuffled.status, shuffled.seeds_needed, shuffled.estimates[0].agree) == (
        plain.status,
        plain.seeds_needed,
        plain.estimates[0].agree,
    )
    assert shuffled.estimates[0].interval.mean == pytest.approx(plain.estimates[0].interval.mean)
    assert decided(values + shift, "greater", 0.5 + shift).status == plain.status


def test_pairing_finds_what_the_variance_between_seeds_would_hide() -> None:
    base = np.random.default_rng(6).normal(0, 10, 10)
    better = base + 1 + np.random.default_rng(7).normal(0, 0.1, 10)
    assert decide(claim(), {"a": better, "z": base}).status == "supported"
    assert decide(claim(), {"a": better, "z": np.roll(base, 1)}).status == "undecided"


@given(
    st.lists(sixteenths, min_size=2, max_size=3),
    st.sampled_from(["greater", "less", "equal", "different"]),
    st.sampled_from([0.25, 1.0]),
)
def test_an_undecided_claim_needs_more_seeds_than_it_has(
    columns: list[list[float]], direction: Direction, margin: float
) -> None:
    n = min(map(len, columns))
    verdict = decided_together(np.array([column[:n] for column in columns]), direction, margin)
    if verdict.status == "undecided":
        assert verdict.seeds_needed is None or n < verdict.seeds_needed <= MOST_SEEDS
    else:
        assert verdict.seeds_needed is None


def test_arms_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not paired: a \(1,\), z \(5,\)"):
        decide(claim(), {"a": np.ones(1), "z": np.zeros(5)})


@pytest.mark.parametrize("direction", ["greater", "less", "equal", "different"])
def test_too_few_or_undefined_seeds_decide_nothing(direction: Direction) -> None:
    none, one = decided([], direction, 0.1), decided([9.0], direction, 0.1)
    assert one.sentence == "Undecided: n = 1 seed; at least two are needed."
    assert none.sentence == "Undecided: n = 0 seeds; at least two are needed."
    for broken in (math.nan, math.inf):
        verdict = decided([9.0, broken, 9.1], direction, 0.1)
        assert verdict.sentence == "Undecided: a − z is undefined for some of n = 3 seeds."
        assert (verdict.status, verdict.smallest_effect, verdict.seeds_needed) == ("undecided", None, None)
    both = decide(claim(direction), {"a": np.array([math.inf, 1.0]), "z": np.array([math.inf, 0.0])})
    for verdict in (none, one, both):
        assert verdict.status == "undecided"
        assert "NaN" not in json.dumps(verdict.as_json(), allow_nan=False)


def test_seeds_that_agree_to_the_last_digit_are_decided_by_the_point() -> None:
    assert decided([0.5] * 4, "greater", 0.25).status == "supported"
    assert decided([0.125] * 4, "greater", 0.25).status == "contradicted"
    assert decided([0.125] * 4, "equal", 0.25).status == "supported"
    assert decided([-0.5] * 4, "equal", 0.25).status == "contradicted"
    assert decided([0.0] * 4, "different", 0.0).status == "undecided"


@pytest.mark.parametrize("direction", ["greater", "less", "equal", "different"])
def test_exactly_on_the_margin_nothing_is_decided_and_nothing_promised(direction: Direction) -> None:
    for one, other, margin in ((0.75, 0.5, 0.25), (0.82, 0.80, 0.02), (0.03, 0.01, 0.02)):
        sign = -1 if direction == "less" else 1
        verdict = decide(
            claim(direction, margin), {"a": np.full(5, sign * one), "z": np.full(5, sign * other)}
        )
        assert (verdict.status, verdict.seeds_needed) == ("undecided", None)
        assert verdict.sentence.endswith("More than 10,000 seeds are needed at the observed effect.")


def test_a_decided_claim_promises_no_seeds_and_a_json_has_plain_numbers() -> None:
    record = decided([0.1, 0.12, 0.11, 0.09], "greater", 0.02, look=2, looks=4).as_json()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert (record["status"], record["seeds_needed"], record["agree"], record["level"]) == (
        "supported",
        None,
        4,
        1 - 0.05 / 4,
    )
    assert record["estimate"] == {name: record["estimates"][0][name] for name in ("mean", "low", "high", "n")}
    assert record["estimates"][0]["per_seed"] == [0.1, 0.12, 0.11, 0.09]
    assert (record["look"], record["looks"], record["unit"], record["direction"]) == (
        2,
        4,
        "points",
        "greater",
    )


def test_re_drawn_splits_get_the_corrected_interval_and_report_it() -> None:
    values = [0.01, 0.04, 0.015, 0.03]
    plain, corrected = decided(values), decided(values, split=Split(80, 20))
    expected = resampled_interval(values, 80, 20)
    assert (corrected.estimates[0].interval.low, corrected.estimates[0].interval.high) == pytest.approx(
        (expected.low, expected.high)
    )
    assert "fixed split" in plain.estimand and "re-drawn splits" in corrected.estimand
    assert (plain.status, corrected.status) == ("supported", "undecided")
    assert corrected.smallest_effect == pytest.approx(
        plain.smallest_effect * math.sqrt((1 / 4 + 20 / 80) * 4)
    )


# several contrasts


def test_all_contrasts_must_be_supported_and_one_contradicts() -> None:
    high, low, vague = [0.5, 0.51, 0.49, 0.5], [-0.5, -0.51, -0.49, -0.5], [0.5, -0.5, 0.4, -0.4]
    for columns, status in (
        ((high, high), "supported"),
        ((high, vague), "undecided"),
        ((high, low), "contradicted"),
        ((vague, low), "contradicted"),
    ):
        assert decided_together(np.array(columns)).status == status


@pytest.mark.parametrize("direction", ["greater", "less", "equal", "different"])
def test_an_undefined_number_in_one_contrast_leaves_the_claim_open(direction: Direction) -> None:
    """Whatever the other contrast shows by itself: once far above the margin, once far
    below, once at nought.
    """
    for level_of in (5.0, -5.0, 0.0):
        verdict = decided_together(
            np.array([[level_of, level_of + 0.1, level_of - 0.1], [5.0, math.nan, 5.1]]), direction, 1.0
        )
        assert (verdict.status, verdict.as_json()["status"], verdict.seeds_needed) == (
            "undecided",
            "undecided",
            None,
        )
        assert verdict.sentence == "Undecided: b − z is undefined for some of n = 3 seeds."


def test_each_of_several_contrasts_is_held_against_the_whole_level() -> None:
    """Intersection–union: no correction where all are supported, Holm's where not all
    are, and always on the side that contradicts.
    """
    strong, weak = np.array([1.0, 1.01, 0.99, 1.0, 1.02]), np.array([1.0, 0.2, 1.4, 0.1, 0.9])
    p = stats.ttest_1samp(weak, 0.0).pvalue
    assert 0.025 < p < 0.05
    both = decided_together(np.stack([weak, weak]))
    assert (both.status, both.p) == ("supported", pytest.approx(p))
    assert "(95 % intervals, n = 5 seeds" in both.sentence
    open_claim = decided_together(np.stack([weak, strong * 0]))
    assert [estimate.status for estimate in open_claim.estimates] == ["undecided", "undecided"]
    assert open_claim.estimates[0].p_supported == pytest.approx(2 * p)
    assert "verdict Holm-corrected" in open_claim.sentence
    weaker = weak - 0.1
    assert stats.ttest_1samp(weaker, 0.0).pvalue > 0.05
    assert decided_together(np.stack([weak, weaker])).p == pytest.approx(
        stats.ttest_1samp(weaker, 0.0).pvalue  # of the claim as a whole: the larger one, uncorrected
    )
    assert decided_together(-np.stack([weak, strong * 0])).status == "undecided"
    assert decided_together(-np.stack([weak])).status == "contradicted"
    assert decided_together(-np.stack([weak, weak])).estimates[0].p_contradicted == pytest.approx(2 * p)


@pytest.mark.parametrize("others", [0.0, 4.0])  # all on the margin, or all but one far beyond it
def test_a_contrast_on_the_margin_is_seldom_supported_with_the_others(others: float) -> None:
    """The false-support rate of the whole claim; it is highest where the others hold."""
    shift = np.array([0.0, others, others])[:, None]
    experiments = np.random.default_rng(8).normal(size=(1000, 3, 10)) + shift
    rate = share(experiments, lambda values: decided_together(values).status == "supported")
    assert rate <= 0.025 + error_of(0.025, len(experiments))
    assert rate >= (0.01 if others else 0.0)  # the level is used up where the others hold


def test_contrasts_that_all_hold_gain_power_without_a_correction() -> None:
    """Three independent contrasts of 20 seeds, each with 80 % power: 51 % instead of the
    49 % of Holm's procedure, 2.4 points more.
    """
    n, effect = 20, smallest_detectable_effect(1.0, 20)
    values = np.random.default_rng(15).normal(effect, 1.0, (20_000, 3, n))
    p = stats.ttest_1samp(values, 0.0, axis=-1).pvalue
    held = (p < 0.05).all(-1)
    stepped = (np.sort(p, -1) * np.arange(3, 0, -1) < 0.05).all(-1)
    gain, paired = held.mean() - stepped.mean(), (held.astype(float) - stepped).std() / math.sqrt(len(p))
    assert not (stepped & ~held).any()
    assert gain == pytest.approx(0.024, abs=3 * paired)
    sample = slice(0, 300)
    assert [decided_together(one).status == "supported" for one in values[sample]] == list(held[sample])


def test_shams_in_a_family_are_seldom_contradicted() -> None:
    families = np.random.default_rng(8).normal(size=(1000, 5, 8))
    assert share(
        families, lambda values: decided_together(values).status == "contradicted"
    ) <= 0.025 + error_of(0.025, len(families))


def test_seeds_for_a_family() -> None:
    """The slowest supporting contrast decides when it is settled, at the whole level,
    unless one contradicts before, at Holm's strictest.
    """
    rng = np.random.default_rng(9)
    noise = rng.normal(size=8)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    near, far, under = 0.2 + noise, 0.6 + noise, -0.4 + noise
    level = 1 - 0.05 / 2
    assert decided_together(np.stack([near, far])).seeds_needed == seeds_needed(0.2, 1.0)
    assert decided_together(np.stack([near, under])).seeds_needed == seeds_needed(0.4, 1.0, level)
    assert decided_together(np.stack([noise, under])).seeds_needed == seeds_needed(0.4, 1.0, level)
    assert decided_together(np.stack([noise, far])).seeds_needed is None


# power


@pytest.mark.parametrize(("n", "effect"), [(2, 4.0), (3, 2.0), (10, 1.0), (10, 0.5), (30, 0.5)])
def test_power_is_the_share_of_experiments_that_are_supported(n: int, effect: float) -> None:
    experiments = np.random.default_rng(n).normal(0.2 + effect, 1.0, (2000, n))
    supported = share(experiments, lambda values: decided(values, "greater", 0.2).status == "supported")
    assert supported == pytest.approx(power(effect, 1.0, n), abs=0.03)


@pytest.mark.parametrize("level", [0.95, 0.9875])
@pytest.mark.parametrize("n", [2, 3, 10, 100])
def test_the_smallest_detectable_effect_has_the_power_it_names(n: int, level: float) -> None:
    for target in (0.5, 0.8, 0.95):
        assert power(smallest_detectable_effect(0.3, n, level, target), 0.3, n, level) == pytest.approx(
            target
        )
        assert power(
            smallest_detectable_effect(0.3, n, level, target, 0.25), 0.3, n, level, 0.25
        ) == pytest.approx(target)
    assert smallest_detectable_effect(0.3, 1) == math.inf and power(9.0, 0.3, 1) == 0.0


@pytest.mark.parametrize("level", [0.9, 0.95, 1 - 0.05 / 3, 0.975, 1 - 0.05 / 4, 0.99, 1 - 0.05 / 12])
def test_the_smallest_detectable_effect_is_known_at_every_n_and_falls_with_it(level: float) -> None:
    effects = [smallest_detectable_effect(1.0, n, level) for n in range(2, 300)]
    assert all(more > fewer > 0 for more, fewer in pairwise(effects))
    assert effects[-1] * math.sqrt(299) == pytest.approx(
        stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(0.8), rel=0.02
    )


def test_power_agrees_with_scipys_noncentral_t() -> None:
    for n, effect in ((3, 0.5), (12, 1.0), (40, -0.2)):
        expected = stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, effect / 2.0 * math.sqrt(n))
        assert power(effect, 2.0, n) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n", [2, 3, 10, 100, 2501, 10_000])
@pytest.mark.parametrize("level", [0.9, 0.9875, 0.998])
def test_power_is_right_far_out_too(n: int, level: float) -> None:
    """Against the definition: a normal mean over a deviation whose square is χ², by
    quantiles; SciPy's noncentral t has gaps there.
    """
    centres = np.concatenate([np.linspace(-60, 60, 49), np.geomspace(60, 1e5, 30)])
    deviations = np.sqrt(stats.chi2.ppf((np.arange(20_000) + 0.5) / 20_000, n - 1) / (n - 1))
    critical = stats.t.ppf(1 - (1 - level) / 2, n - 1)
    expected = [stats.norm.sf(critical * deviations - centre).mean() for centre in centres]
    assert [power(centre / math.sqrt(n), 1.0, n, level) for centre in centres] == pytest.approx(
        expected, abs=1e-4
    )


@given(st.floats(1e-6, 10), st.floats(0, 10), st.sampled_from([0.95, 0.9875]), st.sampled_from([0.0, 0.25]))
def test_seeds_needed_is_the_first_number_with_the_power(
    distance: float, deviation: float, level: float, overlap: float
) -> None:
    needed = seeds_needed(distance, deviation, level, overlap=overlap)
    if needed is None:
        assert power(distance, deviation, MOST_SEEDS, level, overlap) < 0.8
    else:
        assert power(distance, deviation, needed, level, overlap) >= 0.8
        assert needed == 2 or power(distance, deviation, needed - 1, level, overlap) < 0.8


def test_no_number_of_seeds_settles_a_mean_on_the_margin_and_two_settle_a_certain_one() -> None:
    for deviation in (0.0, 1e-12, 0.1):
        assert [seeds_needed(distance, deviation) for distance in (0.0, 1e-10, -1.0)] == [None] * 3
    assert [seeds_needed(0.5, deviation) for deviation in (0.0, 1e-200, 1e-12, 1e-9, 1e-6)] == [2] * 5
    assert seeds_needed(0.001, 0.1, overlap=0.25) is None  # more splits of one data set do not make more data


def test_the_seeds_an_undecided_tie_asks_for_settle_it() -> None:
    seen = np.array([-1.0, 1.0, -1.0, 1.0]) * math.sqrt(3) / 2
    needed = {mean: decided(seen + mean, "equal", 0.5).seeds_needed for mean in (0.0, 0.2)}
    for mean, n in needed.items():
        experiments = np.random.default_rng(10).normal(mean, 1.0, (1500, n))
        assert share(
            experiments, lambda values: decided(values, "equal", 0.5).status == "supported"
        ) == pytest.approx(0.8, abs=0.04)
    outside = decided(seen + 0.8, "equal", 0.5).seeds_needed
    assert outside == seeds_needed(0.3, 1.0)


@pytest.mark.parametrize("direction", ["greater", "different"])
def test_the_smallest_effect_of_a_family_is_of_the_contrast_that_varies_most(direction: Direction) -> None:
    unit = (np.arange(10) - 4.5) / np.arange(10).std(ddof=1)
    family = decided_together(np.stack([unit, 0.5 * unit, 0.1 * unit]), direction, 0.2)
    assert family.smallest_effect == pytest.approx(smallest_detectable_effect(1.0, 10))


# ties


@pytest.mark.parametrize(
    ("n", "deviation", "margin", "mean"),
    [(20, 2.0, 1.0, 0.0), (6, 0.7, 1.0, 0.0), (3, 0.3, 1.0, 0.3), (2, 0.1, 1.0, 0.0)],
)
def test_the_power_of_a_tie_is_the_share_of_true_ties_that_are_found(
    n: int, deviation: float, margin: float, mean: float
) -> None:
    """Two one-sided tests, vectorised; 39 % for n = 20, a deviation of 2 and a margin of
    1, where the power of superiority would promise a tie within 1.3 points.
    """
    values = np.random.default_rng(n).normal(mean, deviation, (40_000, n))
    half = stats.t.ppf(0.95, n - 1) * values.std(-1, ddof=1) / math.sqrt(n)
    found = np.abs(values.mean(-1)) + half < margin
    expected = tie_power(margin, deviation, n, mean=mean)
    assert found.mean() == pytest.approx(expected, abs=error_of(expected, len(values)))
    assert [decided(one, "equal", margin).status == "supported" for one in values[:100]] == list(found[:100])
    if n == 20:
        assert expected == pytest.approx(0.393, abs=0.001)


@pytest.mark.parametrize("n", [2, 5, 20, 500])
def test_the_smallest_margin_of_a_tie_has_the_power_it_names(n: int) -> None:
    for overlap in (0.0, 0.25):
        margin = smallest_tie_margin(0.3, n, overlap=overlap)
        assert tie_power(margin, 0.3, n, overlap=overlap) == pytest.approx(0.8)
    assert smallest_tie_margin(0.3, 1) == math.inf and tie_power(9.0, 0.3, 1) == 0.0
    assert (tie_power(1.0, 0.0, 4), tie_power(1.0, 0.0, 4, mean=2.0)) == (1.0, 0.0)
    limit = stats.norm.ppf(0.95) + stats.norm.ppf(0.9)  # of many seeds: both tests with 90 %
    assert smallest_tie_margin(1.0, 5000) * math.sqrt(5000) == pytest.approx(limit, rel=1e-3)


def test_a_verdict_on_a_tie_states_the_power_of_a_tie() -> None:
    unit = np.array([-1.0, 1.0] * 10) * math.sqrt(19 / 20)  # mean 0, deviation 1
    verdict = decided(0.02 * unit, "equal", 0.01)
    assert (verdict.tie_power, verdict.smallest_margin) == pytest.approx(
        (tie_power(1.0, 2.0, 20), smallest_tie_margin(0.02, 20))
    )
    stated = "a true tie would be found in 39 % of studies of this size, in 80 % with a margin of 1.4 points."
    assert stated in verdict.sentence and "smallest detectable" not in verdict.sentence
    assert verdict.as_json()["tie_power"] == pytest.approx(0.393, abs=0.001)
    apart = decided(0.002 * unit, "different", 0.01)
    assert apart.status == "contradicted" and "a true tie would be found in 100 %" in apart.sentence
    assert "smallest detectable effect" in decided(0.02 * unit + 0.3, "different", 0.01).sentence
    assert decided(unit, "greater", 0.01).tie_power is None


def test_a_margin_under_a_fifth_of_the_smallest_effect_is_named() -> None:
    unit = np.array([-1.0, 1.0] * 10) * math.sqrt(19 / 20)
    fifth = smallest_detectable_effect(1.0, 20) / 5
    small, enough, sign = (decided(unit, "greater", margin) for margin in (0.99 * fifth, 1.01 * fifth, 0.0))
    assert (small.small_margin, enough.small_margin, sign.small_margin) == (True, False, False)
    assert "too small a margin to be decided by n = 20, so that only the sign" in small.sentence
    assert "so that no tie can be found" in decided(unit, "equal", 0.99 * fifth).sentence
    assert "too small" not in enough.sentence + sign.sentence and small.as_json()["small_margin"]


@pytest.mark.parametrize(
    ("bounds", "apart", "text"),
    [
        ((0.051, 0.063, 0.0747), (), "+0.06 [0.05, 0.07]"),
        ((0.051, 0.063, 0.0747), (0.0, 0.05), "+0.063 [0.051, 0.075]"),  # beyond the margin, and seen to be
        ((-0.0028, 0.0376, 0.0791), (0.0, 0.02), "+0.038 [−0.003, 0.079]"),
        ((0.05, 0.063, 0.0747), (0.05,), "+0.06 [0.05, 0.07]"),  # the bound is the margin
        ((0.0499999, 0.063, 0.0747), (0.05,), "+0.0630 [0.0500, 0.0747]"),  # not without end
    ],
)
def test_a_bound_is_not_rounded_onto_what_it_is_read_against(
    bounds: tuple[float, float, float], apart: tuple[float, ...], text: str
) -> None:
    assert Interval(*bounds, 0.95, 9, "t").text(signed=True, apart=apart) == text


def test_what_bounds_are_read_against_follows_the_direction() -> None:
    assert thresholds("greater", 0.02) == (0.0, 0.02) and thresholds("less", 0.02) == (0.0, -0.02)
    assert thresholds("equal", 0.02) == thresholds("different", 0.02) == (-0.02, 0.02)
    points = Interval(0.0098, 0.014, 0.0189, 0.95, 9, "t")
    assert points.text("points", apart=thresholds("equal", 0.01)) == "1.40 points [0.98, 1.89]"


def test_all_but_the_first_claim_are_secondary_and_labelled_so() -> None:
    values = [0.1, 0.12, 0.11]
    assert decided(values).as_json()["role"] == "confirmatory"
    second = decided(values, role="secondary")
    assert second.sentence.endswith(" Secondary: not corrected for the number of claims.")
    assert second.as_json()["role"] == "secondary"


def test_the_p_value_of_a_verdict_is_that_of_the_test_that_decided() -> None:
    high, low = np.array([0.5, 0.52, 0.48, 0.6]), np.array([-0.5, -0.51, -0.49, -0.4])
    two = [stats.ttest_1samp(values, 0.0).pvalue for values in (high, low)]
    assert decided_together(np.stack([high, high * 0.5])).p == pytest.approx(two[0])
    assert decided_together(np.stack([high, low])).p == pytest.approx(2 * two[1])
    assert decided([0.2, -0.1, 0.05]).p == pytest.approx(stats.ttest_1samp([0.2, -0.1, 0.05], 0.0).pvalue)


# looks


def test_four_looks_cost_no_more_than_one() -> None:
    experiments = np.random.default_rng(12).normal(size=(1500, 12))
    sizes = (3, 6, 9, 12)

    def ever_decided(values: np.ndarray, looks: int) -> bool:
        return any(
            decided(values[:n], look=min(look, looks), looks=looks).status != "undecided"
            for look, n in enumerate(sizes, 1)
        )

    assert share(experiments, lambda values: ever_decided(values, 4)) <= 0.05
    assert share(experiments, lambda values: ever_decided(values, 1)) > 0.08  # what the rule is for


# sentences


def test_the_sentence_is_complete_in_the_unit_of_the_claim() -> None:
    values = np.array([0.10, 0.12, 0.11, 0.09])
    assert (
        decided(values, "greater", 0.02).sentence
        == "Supported: a − z = 10.5 points [8.4, 12.6] (95 % interval, n = 4 seeds, same sign in 4 of 4);"
        " margin 2 points; smallest detectable effect: margin + 2.7 points (80 % power)."
    )
    assert (
        decided(values - 0.1, "greater", 0.01, looks=4).sentence
        == "Undecided: a − z = 0.5 points [−3.0, 4.0] (98.75 % interval, n = 4 seeds, same sign in 2 of 4);"
        " margin 1 point; smallest detectable effect: margin + 4.5 points (80 % power). About 78 seeds are"
        " needed at the observed effect."
    )


def test_a_tie_shows_the_interval_it_was_found_by() -> None:
    """Its 95 % interval sticks out of the margin, the 90 % one of the two one-sided
    tests does not.
    """
    values = 0.01 + np.array([0.0, 0.02, 0.0, 0.02, 0.004, 0.004, -0.003, 0.003])
    wide, narrow = (t_interval(values, level) for level in (0.95, 0.9))
    margin = (wide.high + narrow.high) / 2
    for direction, status in (("equal", "supported"), ("different", "contradicted")):
        verdict = decided(values, direction, margin)
        assert verdict.status == status
        assert (
            f", within which lies the 90 % interval [{100 * narrow.low:.1f}, {100 * narrow.high:.1f}]; "
            in verdict.sentence
        )
        assert f" [{100 * wide.low:.1f}, {100 * wide.high:.1f}] (95 % interval, " in verdict.sentence
        assert "within which" not in decided(values + 1.0, direction, margin).sentence
    looked = decided_together(np.stack([values, values]), "equal", 0.1).sentence
    assert "margin 10 points, within which lie the 90 % intervals [1.0, 2.2], [1.0, 2.2]; " in looked


def test_a_units_own_hyphen_is_no_minus_sign() -> None:
    declared = claim("greater", 0.1, unit="log-odds")
    assert (
        "= −0.4 log-odds ["
        in decide(declared, {"a": np.array([-0.4, -0.5, -0.3]), "z": np.zeros(3)}).sentence
    )


def test_the_sentence_names_every_contrast_and_the_correction() -> None:
    values = np.array([[0.10, 0.12, 0.11, 0.09], [-0.10, -0.12, -0.11, -0.09]])
    sentence = decided_together(values).sentence
    assert sentence.startswith(
        "Contradicted: a − z = 10.5 points [8.4, 12.6]; b − z = −10.5 points [−12.6, −8.4] (95 % intervals, "
    )
    assert "verdict Holm-corrected" in sentence and "same sign in 4 of 4, 4 of 4)" in sentence


@pytest.mark.parametrize(
    ("margin", "unit", "shown"),
    [
        (0.01, "points", "margin 1 point;"),
        (0.0125, "points", "margin 1.25 points;"),
        (0.0, "points", "margin 0 points;"),
        (150.0, "steps", "margin 150 steps;"),
        (1234567.0, "steps", "margin 1234567 steps;"),
        (0.00002, "nats", "margin 0.00002 nats;"),
        (0.1, "", "margin 0.1;"),
    ],
)
def test_margins_are_shown_whole(margin: float, unit: str, shown: str) -> None:
    declared = claim("greater", margin, unit=unit)
    assert shown in decide(declared, {"a": np.array([0.5, 0.7, 0.4]), "z": np.zeros(3)}).sentence


def test_small_measures_keep_the_digits_that_distinguish_the_bounds() -> None:
    declared = claim("greater", 0.0, unit="nats")
    sentence = decide(declared, {"a": np.array([0.0003, 0.0004, 0.0005]), "z": np.zeros(3)}).sentence
    assert "= 0.0004 nats [0.0002, 0.0006]" in sentence
    assert (
        "= 0.0004 nats [0.0004, 0.0004]"
        in decide(declared, {"a": np.full(3, 0.0004), "z": np.zeros(3)}).sentence
    )
    alike = decide(
        claim("greater", 0.01), {"a": np.array([0.82, 0.52, 0.93]), "z": np.array([0.80, 0.50, 0.91])}
    ).sentence
    assert "= 2.0 points [2.0, 2.0]" in alike and alike.endswith("effect: margin + 0 points (80 % power).")
    assert "−0.0" not in decided([1e-5, -2e-5, 0.01, -0.01]).sentence.split("[")[0]


def test_seeds_agree_with_the_median_where_the_claim_is_about_it() -> None:
    """Nine seeds gain a point, one collapses and takes the mean to the other side."""
    values = np.array([0.01] * 9 + [-0.9])
    verdict = decide(replace(claim("greater", 0.0, 1), interval="median"), {"z": np.zeros(10), "a": values})
    assert (verdict.status, verdict.estimates[0].agree) == ("supported", 9)
    assert "same sign in 9 of 10" in verdict.sentence
