"""Gott's interval against what is known of it, curves, baselines, learners, evidence."""

import math

import numpy as np
import pytest

from mlcv_explore.data import curve_files, tabular
from mlcv_explore.data.tabular import Problem, draw_problem
from mlcv_explore.experiment import film
from mlcv_explore.ideas import copernican
from mlcv_explore.ideas.copernican import clusters, forecasts, inference, intervals, learners, lifetimes
from mlcv_explore.ideas.copernican import idea as subject
from mlcv_explore.ideas.copernican.tables import details, regret_difference
from mlcv_explore.models import learning_curves
from mlcv_explore.seeds import numpy_stream
from mlcv_explore.statistics.extrapolation import FAMILIES, predicted_growth
from mlcv_explore.statistics.lifetimes import LAWS
from mlcv_explore.ui import evidence
from tests.calls import recorded

MANY = 100_000
METHOD = {name: place for place, name in enumerate(forecasts.METHODS)}
TIME = forecasts.STOPS.index("time")
EARLY = np.array([0.0, 1.0, *[0.5] * 18])  # scores best at the second component, for good


def near(share: float, expected: float) -> bool:
    return abs(share - expected) <= 3 * math.sqrt(max(expected * (1 - expected), 1e-4) / MANY)


def curve_of(values, horizon: int | None = None) -> learning_curves.Curve:
    grown = np.asarray(values, dtype=float)
    return learning_curves.Curve(grown, horizon or len(grown) - 1)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("inspection", lifetimes.BY_CONSTRUCTION)
def test_a_uniform_stop_is_covered_at_the_nominal_rate_whatever_the_lifetimes(law, inspection):
    levels = np.array([0.5, 0.9, 0.95])
    shares = lifetimes.coverage(law, inspection, levels, MANY, numpy_stream(7, f"{law} {inspection}"))
    assert all(near(share, level) for share, level in zip(shares, levels, strict=True)), shares


@pytest.mark.parametrize(("inspection", "share"), [("age001", 0.323), ("age1", 0.975), ("age10", 0.774)])
def test_exponential_lifetimes_at_a_fixed_age(inspection, share):
    """What remains is exponential again: e^(−age/k) − e^(−k·age), k = 39."""
    age = lifetimes.AGES[inspection]
    exact = math.exp(-age / 39) - math.exp(-39 * age)
    rng = numpy_stream(7, inspection)
    assert exact == pytest.approx(share, abs=0.0005)
    assert near(lifetimes.coverage("exponential", inspection, np.array([0.95]), MANY, rng)[0], exact)


def test_while_improving_lifetimes_are_inspected_early_and_the_future_is_underestimated():
    past, future = lifetimes.inspect("uniform", "improving", MANY, numpy_stream(1, "improving"))
    assert (past / (past + future)).mean() < 0.45
    low, high = intervals.interval(past, 0.5)
    assert (future > high).mean() > (future < low).mean() + 0.1


def test_components_of_digits_by_index_and_by_variance():
    curve = learning_curves.spectrum(tabular.load("digits").columns)
    assert len(curve.past) == 49
    by_index, by_variance = (forecasts.stop_weights(curve, stops) for stops in ("time", "importance"))
    wide, half = (intervals.covers(curve.past, curve.future, level) for level in (0.95, 0.5))
    assert [by_index @ wide, by_index @ half] == pytest.approx([0.71, 0.19], abs=0.005)
    assert [by_variance @ wide, by_variance @ half] == pytest.approx([0.97, 0.59], abs=0.01)
    too_much = by_index @ (curve.future < intervals.interval(curve.past, 0.5)[0])
    assert too_much / (1 - by_index @ half) > 0.95


def test_another_unit_changes_nothing():
    past, future = numpy_stream(5, "past").random(50), numpy_stream(5, "future").random(50)
    ends, covered = np.stack(intervals.interval(past, 0.9)), intervals.covers(past, future, 0.9)
    for unit in (1e-9, 3600.0, 1e12):
        np.testing.assert_allclose(np.stack(intervals.interval(past * unit, 0.9)), ends * unit, rtol=1e-12)
        np.testing.assert_array_equal(intervals.covers(past * unit, future * unit, 0.9), covered)


def test_the_interval_shrinks_to_the_past_and_grows_to_everything():
    past = np.array([0.0, 1.0, 3.0])
    for end in intervals.interval(past, 0.0):
        np.testing.assert_array_equal(end, past)
    low, high = intervals.interval(past, 1.0)
    assert (low == 0).all() and np.isinf(high).all()
    assert intervals.interval(2.0, 0.5) == (pytest.approx(2 / 3), pytest.approx(6.0))
    assert intervals.interval(1.0, 0.95) == (pytest.approx(1 / 39), pytest.approx(39.0))
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        intervals.factor(1.5)
    with pytest.raises(ValueError, match="past must be 0 or more, got -1"):
        intervals.interval(-1.0, 0.5)


def test_at_equal_ages_nothing_is_ranked_again():
    rates = numpy_stream(2, "ranks").random(12)
    assert intervals.ranking(rates, np.full(12, 7.0)).tolist() == np.argsort(-rates).tolist()
    assert intervals.ranking(np.array([2.0, 3.0]), np.array([10.0, 1.0])).tolist() == [0, 1]


def test_stops_are_weighted_as_documented():
    curve = curve_of([0, 0, 5, 9, 9.01, 9.02, 9.03, 10])
    expected = {
        "time": [0, 0.2, 0.2, 0.2, 0.2, 0.2, 0],  # never without a past, nor at the end
        "importance": np.array([0, 5, 4, 0.01, 0.01, 0.01, 0]) / 9.03,
        "improving": [0, 0.25, 0.25, 0.25, 0.25, 0, 0],  # at the sixth, three steps gain 0.03 of 9.03
    }
    for stops, weights in expected.items():
        assert forecasts.stop_weights(curve, stops).tolist() == pytest.approx(list(weights))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fit_forecasts_the_log_ratio_and_before_three_steps_it_is_gotts(family):
    """How near fits come to the truth is tested with them."""
    curve = curve_of(3 * (1 - np.exp(-np.arange(61.0) / 17)))
    growth = np.stack(predicted_growth(curve.past, curve.horizon, family, 0.9))
    fit = np.stack(forecasts.extrapolate(curve, family, 0.9))
    np.testing.assert_allclose(fit[:, 2:], intervals.log_ratio(curve.past, np.maximum(growth, 0))[:, 2:])
    np.testing.assert_allclose(fit[:, :2], math.log(19) * np.array([[0], [-1], [1]]).repeat(2, 1))


def test_every_method_is_scored_as_by_hand():
    line = [curve_of(range(5))]
    table, calibration = forecasts.evaluate(line, line, 0.5)
    ratios = np.log([3.0, 1.0, 1 / 3])  # at the steps 1, 2, 3 of 4
    wide = [1, 2 * math.log(3), 2 * math.log(3), 0]
    assert table[TIME, METHOD["copernican"]] == pytest.approx(wide)
    widest = 2 * math.log(100)
    assert table[TIME, METHOD["null"]] == pytest.approx([1, widest, widest, 0])
    # the other source is equal: its k is where half of |log ratio| lies below it, log 3
    assert table[TIME, METHOD["fitted"]] == pytest.approx(wide)
    # quartiles of three stops are the lowest and the highest
    assert table[TIME, METHOD["quantiles"]] == pytest.approx([1, *[ratios[0] - ratios[2]] * 2, 0])
    assert calibration[TIME].tolist() == pytest.approx([1 / 3] * 4 + [1] * 7)  # 1/3 and 3 from c = 0.5 on
    # ends are clipped to 1/100 and 100 times the past
    clipped, _ = forecasts.evaluate(line, line, 0.999)
    assert clipped[TIME, METHOD["copernican"]] == pytest.approx([1, widest, widest, 0])


def test_what_is_calibrated_never_sees_the_sources_own_curves():
    flat, line = curve_of([0, 100, 101, 102, 103]), curve_of(range(5))
    table, _ = forecasts.evaluate([line], [flat], 0.9)
    assert table[TIME, METHOD["quantiles"]][0] == 0  # the two have no ratio in common
    assert table[TIME, METHOD["oracle"]][0] == 1
    single, _ = forecasts.evaluate([line], [flat, curve_of([0, 2, 3, 4])], 0.9)
    double, _ = forecasts.evaluate([line, flat], [flat, curve_of([0, 2, 3, 4])], 0.9)
    other, _ = forecasts.evaluate([flat], [flat, curve_of([0, 2, 3, 4])], 0.9)
    np.testing.assert_allclose(double, (single + other) / 2)
    # a future of nothing stays finite
    assert intervals.log_ratio(np.array([1.0]), np.array([0.0]))[0] == pytest.approx(-math.log(100))


def test_a_source_is_calibrated_on_other_data_sets_of_its_draw_alone(monkeypatch):
    """Neither another curve of its own data set nor one of another kind or draw."""
    config, seen = subject.quick.replace(part="intervals"), []
    monkeypatch.setattr(copernican, "evaluate", lambda own, pool, _: seen.append((own, pool)) or (0, 0))
    every = clusters.sources("bundled")
    for seed in (5, 5 + len(every)):
        kind, name = every[5]
        draw = seed // len(every)
        drawn = {of: clusters.curves(kind, of, draw, 2, 20) for of in tabular.NAMES}
        copernican.compute(config, "curves", seed)
        own, pool = seen[-1]
        assert own == drawn.pop(name) and pool == [curve for curves in drawn.values() for curve in curves]
    first, second = ({curve.progress.tobytes() for curve in pool} for _, pool in seen)
    assert len(first) == len(second) == len(seen[0][1]) and not first & second  # another draw is new


@pytest.mark.parametrize("group", clusters.GROUPS)
def test_successive_seeds_are_every_source_once(group):
    every = clusters.sources(group)
    assert len(set(every)) == len(every) == {"bundled": 28, "photographs": 25}[group]
    study = next(study for study in subject.studies if study.cells[0].config.tables == group)
    drawn = [clusters.source_of(group, seed) for seed in study.seeds]
    assert [source[:2] for source in drawn] == list(every) and len({draw for *_, draw in drawn}) == 1
    assert {kind for kind, _ in every[:5]} == set(learning_curves.KINDS)
    assert subject.split_sizes(subject.config(tables=group)).count == len(every)
    learned = subject.split_sizes(subject.config(tables=group, part="learners")).count
    assert learned == len(clusters.LEARNED[group]) and len(every) % learned == 0
    for kind, name in every:
        others = clusters.other_data_sets(group, kind, name)
        assert name not in others and len(others) >= 4 and all((kind, other) in every for other in others)


def other_test_part(problem: Problem) -> Problem:
    """The same problem with another test part."""
    columns, target = problem.columns, problem.target
    return Problem((*columns[:2], columns[2][::-1]), (*target[:2], -target[2]))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("learner", learners.LEARNERS)
def test_all_rules_of_a_learner_spend_equally_many_fits(learner):
    regret, fits = learners.regrets(learner, "wine", 1, numpy_stream(9, learner))
    assert regret.shape == fits.shape == (len(learners.RULES),)
    assert len(set(fits.tolist())) == 1 and fits[0] > 0 and (regret >= 0).all()


def test_fits_of_boosting_are_counted_where_they_happen(monkeypatch):
    from sklearn.tree import DecisionTreeRegressor

    calls = recorded(monkeypatch, DecisionTreeRegressor, "fit")
    rng = numpy_stream(9, "counting")
    _, fits = learners.grouped_boosting(draw_problem(("digits",), learners.ROWS, rng), rng)
    assert fits.tolist() == [learners.FITS] * len(learners.RULES)
    # the rest is the oracle's, whose trials are free
    assert fits.sum() < len(calls) <= fits.sum() + learners.GROUPS * learners.FITS


def test_the_rules_choose_as_documented():
    rates, ages, rng = np.array([1.0, 3.0, 2.0]), np.array([9.0, 1.0, 2.0]), numpy_stream(0, "choice")
    assert learners.choose("copernican", rates, ages, 0, rng) == 0
    assert learners.choose("ageblind", rates, ages, 0, rng) == 1
    assert [learners.choose("default", rates, ages, turn, rng) for turn in range(4)] == [0, 1, 2, 0]
    assert {learners.choose("shuffled", rates, ages, 0, rng) for _ in range(60)} == {0, 1, 2}
    for rule in ("copernican", "shuffled", "ageblind"):
        assert learners.choose(rule, rates, np.full(3, 5.0), 0, rng) == 1


def selected(problem: Problem) -> dict[str, list[int]]:
    """Columns selected by each rule; the rules are scored first, then the oracle."""
    with pytest.MonkeyPatch.context() as patch:
        calls = recorded(patch, learners, "ridge_score")
        learners.feature_selection(problem, numpy_stream(4, "turns"))
    return {rule: columns.tolist() for rule, (_, columns) in zip(learners.RULES, calls, strict=False)}


def test_selected_features_do_not_depend_on_the_test_part():
    problem = draw_problem(("digits",), learners.ROWS, numpy_stream(4, "blind"))
    assert selected(problem) == selected(other_test_part(problem))


def test_the_feature_that_explains_the_target_is_selected_first():
    columns = [numpy_stream(part, "columns").standard_normal((60, 12)) for part in range(3)]
    problem = Problem(tuple(columns), tuple(2 * part[:, 7] + 0.1 * part[:, 3] for part in columns))
    chosen = selected(problem)
    assert chosen["validated"][0] == chosen["copernican"][0] == chosen["ageblind"][0] == 7


def test_boosted_groups_do_not_depend_on_the_test_part_but_for_the_oracle(monkeypatch):
    problem = draw_problem(("digits",), learners.ROWS, numpy_stream(4, "blind groups"))
    calls, turns = recorded(monkeypatch, learners.GroupedBoosting, "add"), {}
    for version in (problem, other_test_part(problem)):
        learners.grouped_boosting(version, numpy_stream(4, "turns"))
    for model, group, _ in calls:
        turns.setdefault(model, []).append(group)
    every, count = list(turns.values()), len(learners.RULES) + 1
    one, other = every[:count], every[count:]
    assert len(other) == count and one[:-1] == other[:-1] and one[-1] != other[-1]


def cut_regrets(monkeypatch, *scores: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Regret by rule of a cut of problems with these validation and test scores."""
    monkeypatch.setattr(learners, "component_scores", lambda problem: scores[problem])
    monkeypatch.setattr(learners, "cross_validated_components", lambda *_: 1)
    regret, fits = learners.pca_cut(list(range(len(scores))), numpy_stream(0, "cut"))
    assert set(fits) == {learners.CUT_FITS}
    return dict(zip(learners.RULES, regret, strict=True))


def test_a_cut_stops_where_nothing_more_is_gained_and_spends_elsewhere(monkeypatch):
    late = np.arange(20.0)  # always better
    regret = cut_regrets(monkeypatch, (EARLY, EARLY / 2), (late, late / 40))
    best, total = late[-1] / 40, 2 * learners.CUT_FITS
    # from the third fit on, the early one has stalled and all goes to the other
    assert regret["copernican"] == pytest.approx((best - late[total - 3 - 1] / 40) / 2)
    assert regret["default"] == pytest.approx((best - late[learners.CUT_FITS - 1] / 40) / 2)
    assert regret["copernican"] < regret["default"]


def test_few_steps_since_improvement_are_relative_to_age(monkeypatch):
    old = np.array([0.0, 1, 2, 3, 4, *[3.0] * 6, *[9.0] * 9])  # best at the fifth, again at the twelfth
    regret = cut_regrets(monkeypatch, (EARLY, np.zeros(20)), (old, (old == 9).astype(float)))
    # of 18 fits 11 are left when both stall: at 2 : 5 they reach the twelfth, half and half they do not
    assert regret["copernican"] == 0 and regret["ageblind"] == regret["default"] == 0.5


def test_a_run_of_a_part_has_the_numbers_of_that_part_alone():
    whole = subject.metrics(subject.quick, list(subject.run(subject.quick, (3,))))
    assert {name.rpartition("_")[0] for name in whole} == set(subject.labels())  # none is declared in vain
    assert whole["time_null_score"] == pytest.approx(2 * math.log(100)) and whole["time_null_coverage"] == 1
    for part in ("intervals", "learners"):
        config = subject.quick.replace(part=part)
        frames = list(subject.run(config, (3,)))
        alone = subject.metrics(config, frames)
        assert len({frame.part for frame in frames}) == len(frames)  # else one part's numbers hide another's
        assert set(alone) < set(whole)
        assert all(np.array_equal(values, whole[name]) for name, values in alone.items())
        for count in range(1, len(frames)):  # a film under way has numbers too
            assert set(subject.metrics(config, frames[:count])) <= set(alone)
        many = film.join([[frames[-1]]] * 50)
        assert len(film.pack(many)) <= 64_000  # many seeds still travel in one message


def test_the_last_level_of_the_lifetimes_is_the_confidence_that_is_set():
    config = subject.config(part="learners", confidence=0.9, lifetimes=2000, problems=1)
    simulated = next(iter(subject.run(config, (0,)))).simulated
    np.testing.assert_array_equal(simulated[:, :, -1], simulated[:, :, forecasts.LEVELS.tolist().index(0.9)])


@pytest.mark.parametrize(("study", "group"), [("live", "bundled"), ("photographs", "photographs")])
def test_the_tables_of_the_answer(study, group):
    table, kinds = (
        evidence.table("copernican", study),
        np.array([kind for kind, _ in clusters.sources(group)]),
    )
    answer = details(table, group)
    shown = {key: columns for key, (columns, _) in answer.items()}
    covered = table.values("curves", "time_copernican", "coverage")
    *_, tsne, whole = shown["kinds"]["Coverage (%)"]
    assert tsne == f"{100 * covered[kinds == 'tsne'].mean():.1f}"
    assert (whole.method, whole.n) == ("cluster bootstrap", len(kinds))
    counts = [(kinds == kind).sum() for kind in learning_curves.KINDS]
    assert shown["kinds"]["Sources"] == [*map(str, counts), str(len(kinds))]
    over = table.values("curves", "time_copernican", "over").mean() / (1 - covered.mean())
    assert 0 < over <= 1 and f"{over:.0%} of Gott's misses" in answer["kinds"][1]
    headline = evidence.study("copernican", study)["verdicts"][0]["estimates"][0]
    place = shown["methods"]["Forecast"].index("Other curves' quantiles")
    apart = shown["methods"]["Gott's rule minus it, any step"][place]
    assert apart.mean == pytest.approx(headline["mean"], abs=1e-6)
    own, other = (table.values("learners", f"cut_{rule}", "regret") for rule in ("copernican", "default"))
    by_hand = (own - other).reshape(-1, len(clusters.LEARNED[group])).mean(0)
    np.testing.assert_allclose(regret_difference(table, "cut", "default"), by_hand)
    if group == "bundled":  # no uniform lifetime lasts that long
        assert shown["lifetimes"]["At age 10 (%)"][0] == "–"


def test_the_recorded_run_has_curves_for_the_demo():
    _, frames = evidence.recorded("copernican")
    for kind in learning_curves.KINDS:
        curves = inference.recorded_curves(frames, kind)  # three of each of two sources
        assert [shown.progress[-1] for shown in curves] == [1] * 6


def test_stops_of_an_uploaded_curve_are_counted_until_its_last_gain():
    line = curve_files.ProgressCurve(np.arange(6.0), np.array([0.0, 1, 2, 3, 4, 4]))
    shown = inference.until_last_gain(line)
    assert len(shown.x) == 5 and shown.progress[[1, -1]].tolist() == [1, 4]
    assert [inference.stop_at(shown, share) for share in (0.01, 0.5, 0.99)] == [1, 2, 3]
    assert inference.covered_stops(shown, 1, 0.5).tolist() == [True]  # 3 is three times 1
    assert inference.covered_stops(shown, 1, 0.49).tolist() == [False]
    assert inference.covered_stops(shown, 3, 0.0).tolist() == [False, True, False]
    assert inference.covered_stops(shown, 3, 1.0).tolist() == [True] * 3
    above = curve_files.ProgressCurve(np.arange(3.0), np.array([1.0, 2, 4]))  # its first step gained 1
    _, expected = forecasts.evaluate([curve_of([0, 1, 2, 4])], [curve_of([0, 1, 2, 4])], 0.5)
    calibration = inference.curve_calibration(above)
    np.testing.assert_allclose([calibration[stops] for stops in forecasts.STOPS], expected)
