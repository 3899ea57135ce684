"""Gott's interval against what is known of it, the curves, the baselines, the learners,
and uploaded files.
"""

import math
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mlcv_explore import idea
from mlcv_explore.experiment import film, runs, studies
from mlcv_explore.ideas.copernican import (
    CopernicanConfig,
    curve_file,
    curves,
    forecasts,
    inference,
    intervals,
    learners,
    lifetimes,
    tables,
)
from mlcv_explore.ideas.copernican import idea as subject
from mlcv_explore.seeds import numpy_stream

MANY = 100_000
METHOD = {name: place for place, name in enumerate(forecasts.METHODS)}
TIME = forecasts.STOPS.index("time")


def near(share: float, expected: float) -> bool:
    return abs(share - expected) <= 3 * math.sqrt(max(expected * (1 - expected), 1e-4) / MANY)


def straight(steps: int) -> curves.Curve:
    line = np.arange(steps + 1.0)
    return curves.Curve(line, line, steps)


# the interval


@pytest.mark.parametrize("law", lifetimes.LAWS)
@pytest.mark.parametrize("inspection", lifetimes.BY_CONSTRUCTION)
def test_a_uniform_stop_is_covered_at_the_nominal_rate_whatever_the_lifetimes(law, inspection):
    levels = np.array([0.5, 0.9, 0.95])
    shares = lifetimes.coverage(law, inspection, levels, MANY, numpy_stream(7, f"{law} {inspection}"))
    assert all(near(share, level) for share, level in zip(shares, levels, strict=True)), shares


@pytest.mark.parametrize(
    ("inspection", "age", "share"), [("age001", 0.01, 0.323), ("age1", 1, 0.975), ("age10", 10, 0.774)]
)
def test_exponential_lifetimes_at_a_fixed_age(inspection, age, share):
    """What remains is exponential again: e^(−age/k) − e^(−k·age), k = 39."""
    exact = math.exp(-age / 39) - math.exp(-39 * age)
    rng = numpy_stream(7, inspection)
    assert exact == pytest.approx(share, abs=0.0005)
    assert near(lifetimes.coverage("exponential", inspection, np.array([0.95]), MANY, rng)[0], exact)


@pytest.mark.parametrize("law", lifetimes.LAWS)
def test_lifetimes_above_an_age_are_those_that_are_drawn_and_kept(law):
    drawn = lifetimes.lifetimes(law, 400_000, numpy_stream(3, law))
    # a Pareto law with tail 1.5 has no variance
    assert drawn.min() >= 0 and (law == "pareto" or drawn.mean() == pytest.approx(1, abs=0.02))
    kept, longer = drawn[drawn > 0.5], lifetimes.lifetimes(law, 400_000, numpy_stream(4, law), age=0.5)
    for share in (0.1, 0.5, 0.9):
        assert np.quantile(longer, share) == pytest.approx(np.quantile(kept, share), rel=0.03)
    with pytest.raises(ValueError, match="law of lifetimes must be one of"):
        lifetimes.lifetimes("gamma", 3, numpy_stream(0, "x"))


def test_while_improving_lifetimes_are_inspected_early_and_the_future_is_underestimated():
    past, future = lifetimes.inspect("uniform", "improving", MANY, numpy_stream(1, "improving"))
    assert (past / (past + future)).mean() < 0.45
    low, high = intervals.interval(past, 0.5)
    assert (future > high).mean() > (future < low).mean() + 0.1


def test_components_of_digits_by_index_and_by_variance():
    curve = curves.spectrum(load_digits().data)
    past, future = curve.importance[1:], curve.importance[-1] - curve.importance[1:]
    assert len(past) == 49
    by_index, by_variance = (forecasts.stop_weights(curve, stops, 0) for stops in ("time", "importance"))
    wide, half = (intervals.covers(past, future, level) for level in (0.95, 0.5))
    assert [by_index @ wide, by_index @ half] == pytest.approx([0.71, 0.19], abs=0.005)
    assert [by_variance @ wide, by_variance @ half] == pytest.approx([0.97, 0.59], abs=0.01)
    too_much = by_index @ (future < intervals.interval(past, 0.5)[0])
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


def test_the_score_of_an_interval_by_hand():
    values = np.array([0.5, 2.0, -3.0])
    scores = intervals.interval_score(np.zeros(3), np.ones(3), values, 0.9)
    np.testing.assert_allclose(scores, [1.0, 1 + 20 * 1.0, 1 + 20 * 3.0])
    point = intervals.interval_score(np.array(0.0), np.array(0.0), np.array(0.25), 0.95)
    assert point == pytest.approx(40 * 0.25)
    # a future of nothing stays finite
    assert intervals.log_ratio(np.array([1.0]), np.array([0.0]))[0] == pytest.approx(-math.log(100))


def test_at_equal_ages_nothing_is_ranked_again():
    rng = numpy_stream(2, "ranks")
    for _ in range(50):
        rates, age = rng.random(12), float(rng.integers(1, 99))
        order = intervals.ranking(rates, np.full(12, age))
        np.testing.assert_array_equal(order, np.argsort(-rates, kind="stable"))
    assert intervals.ranking(np.array([2.0, 3.0]), np.array([10.0, 1.0])).tolist() == [0, 1]


def test_weighted_quantiles_by_hand():
    values, weights, shares = np.array([3.0, 1, 2]), np.array([0.5, 0.2, 0.3]), [0.1, 0.2, 0.21, 0.5, 0.51, 1]
    assert intervals.weighted_quantile(values, weights, np.array(shares)).tolist() == [1, 1, 2, 2, 3, 3]


# curves, stops and baselines


@pytest.mark.parametrize("kind", curves.KINDS)
def test_curves_grow_from_nothing_to_their_last_gain(kind):
    drawn, unused = curves.draw_curves(kind, 3, 25, numpy_stream(11, kind))
    assert len(drawn) == 3 and unused >= 0
    for curve in drawn:
        assert curve.importance[0] == 0 and (np.diff(curve.importance) >= 0).all()
        assert curve.importance[-1] > curve.importance[-2] and 2 <= len(curve.importance) - 1 <= curve.horizon
        assert len(curve.signal) == len(curve.importance) and (np.diff(curve.signal) >= -1e-12).all()
        for stops in forecasts.STOPS:
            weights = forecasts.stop_weights(curve, stops, 1)
            assert weights[-1] == 0 and (weights.sum() == pytest.approx(1) or not weights.any())
    other, _ = curves.draw_curves(kind, 3, 25, numpy_stream(12, kind))
    assert any(not np.array_equal(a.importance, b.importance) for a, b in zip(drawn, other, strict=True))


def test_a_best_epoch_at_the_end_of_the_budget_is_not_used(monkeypatch):
    falling, valley = np.linspace(2, 1, 31), np.abs(np.arange(31.0) - 12)
    monkeypatch.setattr(curves, "perceptron_losses", lambda rounds, rng: (None, falling))
    assert curves.epochs(30, numpy_stream(0, "x")) is None
    with pytest.raises(FloatingPointError, match="Only 0 of 41 curves of the kind epochs"):
        curves.draw_curves("epochs", 2, 30, numpy_stream(0, "x"))
    monkeypatch.setattr(curves, "perceptron_losses", lambda rounds, rng: (None, valley))
    assert len(curves.epochs(30, numpy_stream(0, "x")).importance) - 1 == 12


def test_stops_are_weighted_as_documented():
    gains = np.array([0, 0, 5, 9, 9.01, 9.02, 9.03, 10])
    curve = curves.Curve(gains, gains, 7)
    expected = {
        "time": [0, 0.2, 0.2, 0.2, 0.2, 0.2, 0],  # never without a past, nor at the end
        "importance": np.array([0, 5, 4, 0.01, 0.01, 0.01, 0]) / 9.03,
        "fixed": [0, 0, 1, 0, 0, 0, 0],
        "improving": [0, 0.25, 0.25, 0.25, 0.25, 0, 0],  # at the sixth, three steps gain 0.03 of 9.03
    }
    for stops, weights in expected.items():
        assert forecasts.stop_weights(curve, stops, 3).tolist() == pytest.approx(list(weights))
    assert not forecasts.stop_weights(curve, "fixed", 7).any()


@pytest.mark.parametrize(
    ("family", "formula"),
    [("exponential", lambda t: 3 * -np.expm1(-t / 17.0)), ("power", lambda t: 3 * (1 - (1 + t) ** -0.6))],
)
def test_a_fit_recovers_a_curve_of_its_own_family(family, formula):
    curve = curves.Curve(formula(np.arange(61.0)), formula(np.arange(61.0)), 60)
    predicted, low, high = forecasts.extrapolate(curve, family, 0.9)
    truth = intervals.log_ratio(curve.importance[1:], curve.importance[-1] - curve.importance[1:])
    assert np.abs(predicted - truth)[9:-1].max() < 0.06  # the grid is that coarse
    assert (low <= predicted + 1e-9).all() and (predicted <= high + 1e-9).all()
    assert predicted[0] == 0 and high[1] == pytest.approx(math.log(19))  # before three steps it is Gott's


def test_every_method_is_scored_as_by_hand():
    table, calibration = forecasts.evaluate([straight(4), straight(4)], 0.5, True)
    ratios = np.log([3.0, 1.0, 1 / 3])  # at the steps 1, 2, 3 of 4
    wide = [1, 2 * math.log(3), 2 * math.log(3), 0]
    assert table[TIME, METHOD["copernican"]] == pytest.approx(wide)
    assert table[TIME, METHOD["double"]] == pytest.approx([1 / 3, 0, 4 * np.abs(ratios).mean(), 1 / 3])
    # two equal curves: the other's k is where half of |log ratio| lies below it, log 3
    assert table[TIME, METHOD["fitted"]] == pytest.approx(wide)
    assert table[TIME, METHOD["quantiles"]][0] == 1
    assert calibration[TIME].tolist() == pytest.approx([1 / 3] * 4 + [1] * 7)  # 1/3 and 3 from c = 0.5 on
    without, _ = forecasts.evaluate([straight(4), straight(4)], 0.5, False)
    assert not without[:, [METHOD[fit] for fit in forecasts.FITS]].any()


def test_other_curves_exclude_the_curve_itself_and_a_lone_curve_has_gotts_interval():
    flat = np.array([0.0, 100, 101, 102, 103])
    both, _ = forecasts.evaluate([straight(4), curves.Curve(flat, flat, 4)], 0.9, True)
    assert both[TIME, METHOD["quantiles"]][0] == 0  # the two have no ratio in common
    assert both[TIME, METHOD["oracle"]][0] == 1
    alone, _ = forecasts.evaluate([straight(9)], 0.9, True)
    for method in ("fitted", "quantiles"):
        assert alone[TIME, METHOD[method]] == pytest.approx(alone[TIME, METHOD["copernican"]])


def test_neighbours_of_a_tsne_have_the_given_perplexity_and_its_loss_falls():
    columns = numpy_stream(1, "cloud").standard_normal((40, 3))
    joint = curves.neighbour_probabilities(columns, 8.0)
    assert joint.sum() == pytest.approx(1) and np.allclose(joint, joint.T)
    losses = curves.tsne_losses(columns, 8.0, 60, 10.0, numpy_stream(1, "places"))
    assert losses[-1] < 0.7 * losses[0] and (losses > 0).all()


# the learners


def other_test_part(problem: learners.Problem) -> learners.Problem:
    """The same problem with another test part."""
    return learners.Problem(
        (*problem.columns[:2], problem.columns[2][::-1]), (*problem.target[:2], -problem.target[2])
    )


@pytest.mark.parametrize("learner", learners.LEARNERS)
def test_all_rules_of_a_learner_spend_equally_many_fits(learner):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regret, fits = learners.regrets(learner, 1, numpy_stream(9, learner))
    assert regret.shape == fits.shape == (len(learners.RULES),)
    assert len(set(fits.tolist())) == 1 and fits[0] > 0 and (regret >= 0).all()


def test_fits_of_boosting_are_counted_where_they_happen(monkeypatch):
    from sklearn.tree import DecisionTreeRegressor

    calls, fit = [], DecisionTreeRegressor.fit

    def counting(self, *args, **more):
        calls.append(1)
        return fit(self, *args, **more)

    monkeypatch.setattr(DecisionTreeRegressor, "fit", counting)
    rng = numpy_stream(9, "counting")
    _, fits = learners.grouped_boosting(learners.draw_problem(rng), rng)
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


def test_selected_features_do_not_depend_on_the_test_part(monkeypatch):
    problem = learners.draw_problem(numpy_stream(4, "blind"))
    kept, score = [], learners.ridge_score

    def recording(problem, columns):
        kept.append(columns.tolist())
        return score(problem, columns)

    monkeypatch.setattr(learners, "ridge_score", recording)
    chosen = []
    for each in (problem, other_test_part(problem)):
        kept.clear()
        learners.feature_selection(each, numpy_stream(4, "turns"))
        chosen.append(kept[: len(learners.RULES)])  # the rules come first, then the oracle
    assert chosen[0] == chosen[1]


def test_boosted_groups_do_not_depend_on_the_test_part_but_for_the_oracle(monkeypatch):
    problem = learners.draw_problem(numpy_stream(4, "blind groups"))
    turns: list[list[int]] = []

    class Recording(learners.BoostedGroups):
        def __init__(self, *args):
            super().__init__(*args)
            turns.append([])
            self.turns = turns[-1]

        def add(self, group, added):
            self.turns.append(group)
            super().add(group, added)

    monkeypatch.setattr(learners, "BoostedGroups", Recording)
    for each in (problem, other_test_part(problem)):
        learners.grouped_boosting(each, numpy_stream(4, "turns"))
    count = len(learners.RULES) + 1
    one, other = turns[:count], turns[count:]
    assert len(other) == count and one[:-1] == other[:-1] and one[-1] != other[-1]


def test_the_score_is_taken_where_validation_loss_was_lowest():
    target = tuple(np.array([1.0, -1.0]) for _ in range(3))
    problem = learners.Problem(tuple(np.ones((2, 1)) for _ in range(3)), target)
    model, step = learners.BoostedGroups(problem, [np.array([0])]), np.array([0.5, -0.5])
    model.add(0, [step, step, step / 5])
    at_best = model.score
    model.add(0, [step, -step, 1.5 * step])  # worse on validation, better on the test part
    assert model.score == at_best == pytest.approx(1 - 0.9**2)
    assert model.gains[0] == pytest.approx(1.0)


def test_a_cut_does_not_depend_on_the_test_part():
    problem = learners.draw_problem(numpy_stream(4, "blind cut"), ("wine",), classes=True)
    columns, target = problem.columns, problem.target
    other = learners.Problem((*columns[:2], columns[2][::-1] + 1), (*target[:2], target[2][::-1].copy()))
    (held, tested), (same, apart) = learners.cut_scores(problem), learners.cut_scores(other)
    np.testing.assert_array_equal(held, same)
    assert not np.array_equal(tested, apart)
    cuts = [learners.cross_validated_cut(each, len(held)) for each in (problem, other)]
    assert cuts[0] == cuts[1]


def cut_regrets(monkeypatch, *scores: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Regret by rule of a cut of problems with these validation and test scores."""
    monkeypatch.setattr(learners, "cut_scores", lambda problem: scores[problem])
    monkeypatch.setattr(learners, "cross_validated_cut", lambda *_: 1)
    regret, fits = learners.pca_cut(list(range(len(scores))), numpy_stream(0, "cut"))
    assert set(fits) == {learners.CUT_FITS}
    return dict(zip(learners.RULES, regret, strict=True))


def test_a_cut_stops_where_nothing_more_is_gained_and_spends_elsewhere(monkeypatch):
    early = np.array([0.0, 1.0, *[0.5] * 18])  # best at the second component
    late = np.arange(20.0)  # always better
    regret = cut_regrets(monkeypatch, (early, early / 2), (late, late / 40))
    best, total = late[-1] / 40, 2 * learners.CUT_FITS
    # from the third fit on, the early one has stalled and all goes to the other
    assert regret["copernican"] == pytest.approx((best - late[total - 3 - 1] / 40) / 2)
    assert regret["default"] == pytest.approx((best - late[learners.CUT_FITS - 1] / 40) / 2)
    assert regret["copernican"] < regret["default"]


def test_few_steps_since_improvement_are_relative_to_age(monkeypatch):
    young = np.array([0.0, 1.0, *[0.5] * 18])  # best at the second component, for good
    old = np.array([0.0, 1, 2, 3, 4, *[3.0] * 6, *[9.0] * 9])  # best at the fifth, again at the twelfth
    regret = cut_regrets(monkeypatch, (young, np.zeros(20)), (old, (old == 9).astype(float)))
    # of 18 fits 11 are left when both stall: at 2 : 5 they reach the twelfth, half and half they do not
    assert regret["copernican"] == 0 and regret["ageblind"] == regret["default"] == 0.5


# the run and its evidence


def test_a_run_of_a_part_has_the_numbers_of_that_part_alone():
    whole = subject.metrics(subject.quick, list(subject.run(subject.quick, (3,))))
    measures = {measure.name for measure in subject.measures}
    assert {name.rpartition("_")[0] for name in whole} == set(subject.labels())  # all are declared
    assert {name.rpartition("_")[2] for name in whole} == measures
    for part in ("intervals", "learners"):
        config = subject.quick.replace(part=part)
        frames = list(subject.run(config, (3,)))
        alone = subject.metrics(config, frames)
        assert len({frame.part for frame in frames}) == len(frames)  # else one part's numbers hide another's
        assert set(alone) < set(whole)
        assert all(np.array_equal(values, whole[name]) for name, values in alone.items())
        assert subject.picture(frames).lines["idea"].shape == (1, len(forecasts.LEVELS))
        for count in range(1, len(frames)):  # a film under way has numbers too
            assert set(subject.metrics(config, frames[:count])) <= set(alone)
        many = film.join([[frames[-1]]] * 50)
        assert len(film.pack(many)) <= 64_000  # many seeds still travel in one message


def test_the_last_level_of_the_lifetimes_is_the_confidence_that_is_set():
    config = CopernicanConfig(part="learners", confidence=0.9, lives=2000, problems=1)
    simulated = next(iter(subject.run(config, (0,)))).simulated
    np.testing.assert_array_equal(simulated[:, :, -1], simulated[:, :, forecasts.LEVELS.tolist().index(0.9)])
    assert ("uniform", "age10") not in lifetimes.SIMULATED and len(lifetimes.SIMULATED) == 31


def test_the_tables_of_the_answer():
    study = subject.studies[0]
    rows = studies.read(idea.ASSETS / "copernican", study)
    table = studies.Table(rows, studies.splits_of(subject, study))
    coverage = tables.coverage(table)
    assert coverage["At any step (%)"][0].method == "t, Nadeau–Bengio corrected"
    assert coverage["True by construction"] == ["uniform in importance"] * 6 + ["at any step"]
    assert 0 < tables.overestimated(table) <= 1
    uninformative = intervals.interval_score(-9.0, 9.0, np.array(0.0), 0.5)
    assert uninformative == pytest.approx(tables.UNINFORMATIVE)
    assert tables.lifetimes(table)["At age 10 (%)"][0] == "–"  # no uniform lifetime lasts that long
    count = tables.tally(table)
    assert count["all"] == 5 * 3 * 7 + 3 * 3 and count["won_doubling"] <= count["won"] <= count["all"]
    for stops in forecasts.STOPS:
        scores = tables.scores(table, stops)
        lists = zip(scores["Gott's rule is better than"], scores["worse than"], strict=True)
        assert all(not set(one.split(", ")) & set(two.split(", ")) - {"–"} for one, two in lists)
    regrets = tables.regrets(table)
    assert all(item.mean > 0 for head, column in regrets.items() if "points" in head for item in column)
    for learner in learners.LEARNERS:
        fits = [table.values("learners", f"{learner}_{rule}", "fits") for rule in learners.RULES]
        assert all(np.array_equal(fits[0], other) for other in fits)


def test_the_recorded_run_has_curves_for_the_demo():
    frames = film.unpack(runs.film_bytes(runs.recorded("copernican")), subject.frame)
    for kind in curves.KINDS:
        recorded = inference.recorded_curves(frames, kind)
        assert len(recorded) == 3
        for shown in recorded:
            assert 0 < shown.importance[inference.stop_at(shown, 0.3)] < shown.importance[-1]
        assert inference.recorded_calibration(frames, kind)["time"].shape[1] == len(forecasts.LEVELS)


# uploaded files


def lines(rows: int) -> bytes:
    return "\n".join(f"{row},{row**0.5}" for row in range(1, rows + 1)).encode()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "must hold numbers, got an empty file"),
        (b"\n\n  \n", "got an empty file"),
        (b"x,y\n", "must hold numbers alone: line 1 has x"),
        (b"x,y\n1,2\n2,3\n", "at least 3 rows of numbers, got 2"),
        (b"1,2\n2,<b>x</b>\n3,4\n", "must hold numbers alone: line 2 has _b_x_ b_"),
        (b"1,2\n3,3\n2,4\n", "rising x: in line 3 it falls from 3, got 2"),
        (b"1,2\n1,3\n2,4\n", "rising x: in line 2 it repeats 1, got 1"),
        (b"1,2\n2,nan\n3,4\n", "finite numbers up to 1e+300: line 2 has nan"),
        (b"1,2\n2,1e999\n3,4\n", "line 2 has 1e999"),
        (b"1,-2\n2,3\n3,4\n", "past of 0 or more: in line 1 a curve that rises has -2"),
        (b"1,2\n2,2\n3,2\n", "must grow or fall: all its values are 2"),
        (b"1,2,3\n2,3,4\n3,4,5\n", "one column y or two columns x, y: line 1 has 3 columns"),
        (b"1,2\n2\n3,4\n", "the 2 of the first line: line 2 has 1 columns"),
        (b"1,\n2,3\n3,4\n", "must hold numbers alone: line 1 has nothing"),
        (b"\x89PNG\r\n\x1a\n\x00\x01", "text file"),
        (b"1\x00,2\n2,3\n3,4\n", "got binary data"),
        (b"1,2\n2," + b"9" * 5000 + b"\n3,4\n", "lines of at most 200 characters: line 2 has"),
        (b"1" * ((curve_file.MAX_MB << 20) + 1), "at most 32 MB"),
    ],
)
def test_an_unusable_file_is_rejected_in_a_sentence(content, sentence):
    with pytest.raises(curve_file.BadCurve) as rejection:
        curve_file.parse_upload(content, "../mine<i>.csv")
    text = str(rejection.value)
    assert text.startswith("mine_i_.csv must "), text
    assert sentence in text and "\n" not in text and "<" not in text and len(text) < 300, text


def test_forms_of_a_file_that_hold_the_same_curve():
    expected, text = curve_file.parse_upload(lines(9), "a.csv"), lines(9).decode()
    semicolons = text.replace(",", ";")
    forms = ["\ufeff" + text, "x,y\n" + text, '"time";"gain"\n' + semicolons, semicolons.replace(".", ",")]
    forms += [text.replace("\n", "\r\n"), text.replace("\n", "\n\n"), text + "\n\n"]
    forms += [text.replace(",", separator) for separator in ("\t", " ", ", ")]
    for content in (*(form.encode() for form in forms), text.encode("utf-16")):
        curve = curve_file.parse_upload(content, "a.csv")
        np.testing.assert_allclose(curve.importance, expected.importance, rtol=1e-12)
        np.testing.assert_array_equal(curve.x, expected.x)
    assert "header" in curve_file.parse_upload(("x,y\n" + text).encode(), "a.csv").notes[0]
    alone = curve_file.parse_upload(b"1\n2\n4\n", "a.csv")
    assert alone.x.tolist() == [0, 1, 2] and alone.importance.tolist() == [1, 2, 4]


def test_a_loss_becomes_its_fall_and_dents_are_filled():
    loss = curve_file.parse_upload(b"5\n3\n4\n1\n", "loss.csv")
    assert loss.importance.tolist() == [0, 2, 2, 4] and len(loss.notes) == 2 and "loss" in loss.notes[0]
    dented = curve_file.parse_upload(b"1\n3\n2\n4\n", "gain.csv")
    assert dented.importance.tolist() == [1, 3, 3, 4] and "highest value so far" in dented.notes[0]


def test_a_million_rows_are_thinned_with_a_note():
    wide = "\n".join(f"{place},{place**0.5:.12f}" for place in range(1_000_000)).encode()
    curve = curve_file.parse_upload(wide, "wide.csv")
    assert len(wide) > 20 << 20 and len(curve.x) == len(curve.importance) == curve_file.MAX_ROWS
    assert curve.x[-1] == 999_999 and curve.importance[-1] == pytest.approx(999_999**0.5)
    assert "2,000 of 1,000,000 rows" in curve.notes[0]


def test_the_forecast_at_one_stop():
    line = curve_file.parse_upload(b"0,0\n1,1\n2,2\n3,3\n4,4\n5,4\n", "line.csv")
    shown = inference.uploaded_curve(line)
    assert len(shown.x) == 5  # until the last gain
    assert [inference.stop_at(shown, share) for share in (0.01, 0.5, 0.99)] == [1, 2, 3]
    early = inference.forecast(shown, 1, 0.5)
    assert (early.past, early.future, early.covered, early.stops, early.stops_covered) == (1, 3, True, 1, 1)
    assert early.low == pytest.approx(1 / 3) and early.high == pytest.approx(3)
    late = inference.forecast(shown, 3, 0.0)
    assert (late.low, late.high, late.covered, late.stops) == (3, 3, False, 3)
    assert math.isinf(inference.forecast(shown, 1, 1.0).high) and inference.forecast(shown, 1, 1.0).covered
    above = inference.uploaded_curve(curve_file.parse_upload(b"1\n2\n4\n", "late.csv"))
    assert above.curve.importance.tolist() == [0, 1, 2, 4]
    calibration = inference.curve_calibration(shown)
    assert set(calibration) == {"time", "importance", "improving"}
    assert all((np.diff(values) >= 0).all() for values in calibration.values())
