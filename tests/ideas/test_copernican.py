"""Idea 19: the interval against what is known of it, the curves, the rivals, the
learners, and files that readers bring.
"""

import math
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mlcv_explore import idea
from mlcv_explore.experiment import film, studies
from mlcv_explore.ideas.copernican import (
    LIVES,
    CopernicanConfig,
    brought,
    forecasts,
    growth,
    intervals,
    learners,
    lives,
    looking,
)
from mlcv_explore.ideas.copernican import evidence as tables
from mlcv_explore.ideas.copernican import idea as subject
from mlcv_explore.seeds import numpy_stream

MANY = 100_000


def standard_error(share: float, count: int = MANY) -> float:
    return math.sqrt(max(share * (1 - share), 1e-4) / count)


def near(found: float, share: float, count: int = MANY) -> bool:
    return abs(found - share) <= 3 * standard_error(share, count)


def straight(steps: int) -> growth.Curve:
    line = np.arange(steps + 1.0)
    return growth.Curve(line, line, steps)


# the interval


@pytest.mark.parametrize("law", lives.LAWS)
@pytest.mark.parametrize("inspection", lives.TRUE_BY_CONSTRUCTION)
def test_a_uniform_stop_is_covered_as_often_as_promised_whatever_the_lifetimes(law, inspection):
    levels = np.array([0.5, 0.9, 0.95])
    found = lives.coverage(law, inspection, levels, MANY, numpy_stream(7, f"{law} {inspection}"))
    assert all(near(share, level) for share, level in zip(found, levels, strict=True)), found


@pytest.mark.parametrize(("age", "share"), [(0.01, 0.323), (1.0, 0.975), (10.0, 0.774)])
def test_exponential_lives_at_a_fixed_age(age, share):
    inspection = f"age{age:g}".replace(".", "")
    found = lives.coverage("exponential", inspection, np.array([0.95]), MANY, numpy_stream(7, inspection))[0]
    assert lives.exponential_coverage(age, 0.95) == pytest.approx(share, abs=0.0005)
    assert near(found, lives.exponential_coverage(age, 0.95))


@pytest.mark.parametrize("law", lives.LAWS)
def test_lives_that_last_longer_are_those_that_are_drawn_and_kept(law):
    drawn = lives.lifetimes(law, 400_000, numpy_stream(3, law))
    # a Pareto law with tail 1.5 has no variance
    assert drawn.min() >= 0 and (law == "pareto" or drawn.mean() == pytest.approx(1, abs=0.02))
    kept, longer = drawn[drawn > 0.5], lives.lifetimes(law, 400_000, numpy_stream(4, law), age=0.5)
    for share in (0.1, 0.5, 0.9):
        assert np.quantile(longer, share) == pytest.approx(np.quantile(kept, share), rel=0.03)
    with pytest.raises(ValueError, match="law of lifetimes must be one of"):
        lives.lifetimes("gamma", 3, numpy_stream(0, "x"))


def test_while_improving_lives_are_looked_at_early_and_the_future_is_underrated():
    past, future = lives.inspected("uniform", "improving", MANY, numpy_stream(1, "improving"))
    assert (past / (past + future)).mean() < 0.45
    low, high = intervals.interval(past, 0.5)
    assert (future > high).mean() > (future < low).mean() + 0.1


def test_digits_components_by_index_and_by_variance():
    curve = growth.spectrum(load_digits().data)
    past, future = curve.importance[1:], curve.importance[-1] - curve.importance[1:]
    assert len(past) == 49
    by_index, by_variance = (forecasts.weights(curve, stops, 0) for stops in ("time", "importance"))
    share = {level: intervals.covers(past, future, level) for level in (0.5, 0.95)}
    assert [by_index @ share[level] for level in (0.95, 0.5)] == pytest.approx([0.71, 0.19], abs=0.005)
    assert [by_variance @ share[level] for level in (0.95, 0.5)] == pytest.approx([0.97, 0.59], abs=0.01)
    too_much = by_index @ (future < intervals.interval(past, 0.5)[0])
    assert too_much / (1 - by_index @ share[0.5]) > 0.95


def test_another_unit_changes_nothing():
    past, future = numpy_stream(5, "past").random(50), numpy_stream(5, "future").random(50)
    low, high = intervals.interval(past, 0.9)
    for unit in (1e-9, 3600.0, 1e12):
        again = intervals.interval(past * unit, 0.9)
        assert np.allclose(again[0], low * unit, rtol=1e-12) and np.allclose(
            again[1], high * unit, rtol=1e-12
        )
        np.testing.assert_array_equal(
            intervals.covers(past * unit, future * unit, 0.9), intervals.covers(past, future, 0.9)
        )


def test_the_interval_shrinks_to_the_past_and_grows_to_everything():
    past = np.array([0.0, 1.0, 3.0])
    for end in intervals.interval(past, 0.0):
        np.testing.assert_array_equal(end, past)
    low, high = intervals.interval(past, 1.0)
    assert (low == 0).all() and np.isinf(high).all()
    assert intervals.interval(2.0, 0.5) == (pytest.approx(2 / 3), pytest.approx(6.0))
    assert intervals.interval(1.0, 0.95) == (pytest.approx(1 / 39), pytest.approx(39.0))
    assert intervals.survival(1.0) == 0.5 and intervals.survival(39.0) - intervals.survival(
        1 / 39
    ) == pytest.approx(-0.95)
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        intervals.factor(1.5)
    with pytest.raises(ValueError, match="past must be 0 or more, got -1"):
        intervals.interval(-1.0, 0.5)


def test_the_score_of_an_interval_by_hand():
    values = np.array([0.5, 2.0, -3.0])
    found = intervals.interval_score(np.zeros(3), np.ones(3), values, 0.9)
    np.testing.assert_allclose(found, [1.0, 1 + 20 * 1.0, 1 + 20 * 3.0])
    assert intervals.interval_score(np.array(0.0), np.array(0.0), np.array(0.25), 0.95) == pytest.approx(
        40 * 0.25
    )
    # a future of nothing stays finite
    assert intervals.log_ratio(np.array([1.0]), np.array([0.0]))[0] == pytest.approx(
        -math.log(intervals.MOST)
    )


def test_at_equal_ages_nothing_is_ranked_again():
    luck = numpy_stream(2, "ranks")
    for _ in range(50):
        rates, age = luck.random(12), float(luck.integers(1, 99))
        np.testing.assert_array_equal(
            intervals.ranking(rates, np.full(12, age)), np.argsort(-rates, kind="stable")
        )
    # unequal ages can
    assert intervals.ranking(np.array([2.0, 3.0]), np.array([10.0, 1.0])).tolist() == [0, 1]


def test_weighted_quantiles_by_hand():
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([0.5, 0.2, 0.3])
    assert intervals.weighted_quantile(
        values, weights, np.array([0.1, 0.2, 0.21, 0.5, 0.51, 1.0])
    ).tolist() == [1, 1, 2, 2, 3, 3]


# curves, stops and rivals


@pytest.mark.parametrize("kind", growth.KINDS)
def test_curves_grow_from_nothing_to_their_last_gain(kind):
    found, unused = growth.curves(kind, 3, 25, numpy_stream(11, kind))
    assert len(found) == 3 and unused >= 0
    for curve in found:
        assert curve.importance[0] == 0 and (np.diff(curve.importance) >= 0).all()
        assert curve.importance[-1] > curve.importance[-2] and 2 <= len(curve.importance) - 1 <= curve.horizon
        assert len(curve.signal) == len(curve.importance) and (np.diff(curve.signal) >= -1e-12).all()
        for stops in forecasts.STOPS:
            looked = forecasts.weights(curve, stops, 1)
            assert looked[-1] == 0 and (looked.sum() == pytest.approx(1) or not looked.any())
    other, _ = growth.curves(kind, 3, 25, numpy_stream(12, kind))
    assert not all(
        np.array_equal(one.importance, two.importance) for one, two in zip(found, other, strict=True)
    )


def test_a_best_epoch_at_the_end_of_the_budget_is_not_used(monkeypatch):
    monkeypatch.setattr(
        growth, "perceptron", lambda rounds, luck: (np.zeros(rounds + 1), np.linspace(2, 1, rounds + 1))
    )
    assert growth.epochs(30, numpy_stream(0, "x")) is None
    with pytest.raises(FloatingPointError, match="kind epochs only 0 could be used"):
        growth.curves("epochs", 2, 30, numpy_stream(0, "x"))
    valley = np.abs(np.arange(31.0) - 12)
    monkeypatch.setattr(growth, "perceptron", lambda rounds, luck: (np.zeros(rounds + 1), valley))
    assert len(growth.epochs(30, numpy_stream(0, "x")).importance) - 1 == 12


def test_stops_are_where_they_are_said_to_be():
    curve = growth.Curve(
        np.array([0, 0, 5, 9, 9.01, 9.02, 9.03, 10]), np.array([0, 0, 5, 9, 9.01, 9.02, 9.03, 10]), 7
    )
    assert forecasts.weights(curve, "time", 0).tolist() == pytest.approx(
        [0, 0.2, 0.2, 0.2, 0.2, 0.2, 0]
    )  # without a past, and at the end, nobody looks
    assert forecasts.weights(curve, "importance", 0) == pytest.approx(
        np.array([0, 5, 4, 0.01, 0.01, 0.01, 0]) / 9.03
    )
    assert (
        forecasts.weights(curve, "fixed", 3).tolist() == [0, 0, 1, 0, 0, 0, 0]
        and not forecasts.weights(curve, "fixed", 7).any()
    )
    assert forecasts.weights(curve, "improving", 0).tolist() == pytest.approx(
        [0, 0.25, 0.25, 0.25, 0.25, 0, 0]
    )  # three steps bring 0.03 of 9.03 at the sixth


@pytest.mark.parametrize(
    ("family", "made"),
    [("exponential", lambda t: 3 * -np.expm1(-t / 17.0)), ("power", lambda t: 3 * (1 - (1 + t) ** -0.6))],
)
def test_a_fit_finds_the_curve_it_is_made_for(family, made):
    curve = growth.Curve(made(np.arange(61.0)), made(np.arange(61.0)), 60)
    predicted, low, high = forecasts.extrapolated(curve, family, 0.9)
    truth = intervals.log_ratio(curve.importance[1:], curve.importance[-1] - curve.importance[1:])
    assert np.abs(predicted - truth)[9:-1].max() < 0.06  # the grid is that coarse
    assert (low <= predicted + 1e-9).all() and (predicted <= high + 1e-9).all()
    assert predicted[0] == 0 and high[1] == pytest.approx(math.log(19))  # before three steps it is Gott's


def test_every_method_is_scored_as_by_hand():
    curves = [straight(4), straight(4)]
    table, calibration = forecasts.measured(curves, 0.5, True)
    time, names = (
        forecasts.STOPS.index("time"),
        {name: forecasts.METHODS.index(name) for name in forecasts.METHODS},
    )
    ratios = np.log([3.0, 1.0, 1 / 3])  # at the steps 1, 2, 3 of 4
    assert table[time, names["copernican"]] == pytest.approx([1, 2 * math.log(3), 2 * math.log(3), 0])
    assert table[time, names["double"]] == pytest.approx([1 / 3, 0, 4 * np.abs(ratios).mean(), 1 / 3])
    # two curves alike: the other's k is where half of |log ratio| lies below it, log 3
    assert table[time, names["fitted"]] == pytest.approx([1, 2 * math.log(3), 2 * math.log(3), 0])
    assert table[time, names["quantiles"]][0] == 1
    # from c = 0.5 on, 1/3 and 3 lie within
    assert calibration[time].tolist() == pytest.approx([1 / 3] * 4 + [1] * 7)
    without, _ = forecasts.measured(curves, 0.5, False)
    assert not without[:, [names[fit] for fit in forecasts.FITS]].any()


def test_what_others_tell_does_not_come_from_the_curve_itself():
    flat = np.array([0.0, 100, 101, 102, 103])
    table, _ = forecasts.measured([straight(4), growth.Curve(flat, flat, 4)], 0.9, True)
    time = table[forecasts.STOPS.index("time")]
    assert time[forecasts.METHODS.index("quantiles")][0] == 0  # the two have no future over past in common
    assert time[forecasts.METHODS.index("oracle")][0] == 1


def test_a_lone_curve_has_gotts_interval_where_others_are_needed():
    table, _ = forecasts.measured([straight(9)], 0.9, True)
    time = table[forecasts.STOPS.index("time")]
    for method in ("fitted", "quantiles"):
        assert time[forecasts.METHODS.index(method)] == pytest.approx(
            time[forecasts.METHODS.index("copernican")]
        )


def test_neighbours_of_a_tsne_have_the_perplexity_that_is_asked_for():
    columns = numpy_stream(1, "cloud").standard_normal((40, 3))
    chances = growth.neighbour_chances(columns, 8.0)
    assert chances.sum() == pytest.approx(1) and np.allclose(chances, chances.T)
    losses = growth.tsne_losses(columns, 8.0, 60, 10.0, numpy_stream(1, "places"))
    assert losses[-1] < 0.7 * losses[0] and (losses > 0).all()


# the learners


@pytest.mark.parametrize("learner", learners.LEARNERS)
def test_all_rules_of_a_learner_spend_equally_many_fits(learner):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regret, fits = learners.regrets(learner, 1, numpy_stream(9, learner))
    assert regret.shape == fits.shape == (len(learners.RULES),)
    assert len(set(fits.tolist())) == 1 and fits[0] > 0
    assert (regret >= 0).all()


def test_fits_of_boosting_are_counted_where_they_happen(monkeypatch):
    from sklearn.tree import DecisionTreeRegressor

    counted, original = [0], DecisionTreeRegressor.fit
    monkeypatch.setattr(
        DecisionTreeRegressor,
        "fit",
        lambda self, *given, **more: counted.__setitem__(0, counted[0] + 1) or original(self, *given, **more),
    )
    luck = numpy_stream(9, "counting")
    _, fits = learners.groups_of_columns(learners.problem(luck), luck)
    paid = int(fits.sum())
    assert fits.tolist() == [learners.FITS] * len(learners.RULES)
    # the rest is the oracle's, who does not pay
    assert paid < counted[0] <= paid + learners.GROUPS * learners.FITS


def test_the_rules_choose_as_they_say():
    rates, ages, luck = np.array([1.0, 3.0, 2.0]), np.array([9.0, 1.0, 2.0]), numpy_stream(0, "choice")
    assert learners.choice("copernican", rates, ages, 0, luck) == 0
    assert learners.choice("ageblind", rates, ages, 0, luck) == 1
    assert [learners.choice("default", rates, ages, turn, luck) for turn in range(4)] == [0, 1, 2, 0]
    drawn = [learners.choice("shuffled", rates, ages, 0, luck) for _ in range(60)]
    assert set(drawn) == {0, 1, 2}  # whichever gets the great age
    equal = np.full(3, 5.0)
    assert {
        learners.choice(rule, rates, equal, 0, luck) for rule in ("copernican", "shuffled", "ageblind")
    } == {1}


def test_what_is_kept_does_not_hang_on_the_test_part(monkeypatch):
    luck = numpy_stream(4, "blind")
    given = learners.problem(luck)
    other = learners.Problem(
        (*given.columns[:2], given.columns[2][::-1]), (*given.target[:2], -given.target[2])
    )
    kept: list[list[int]] = []
    original = learners.ridge_score
    monkeypatch.setattr(
        learners,
        "ridge_score",
        lambda given, columns: kept.append(columns.tolist()) or original(given, columns),
    )
    chosen = []
    for each in (given, other):
        kept.clear()
        learners.adding(each, numpy_stream(4, "turns"))
        chosen.append(kept[: len(learners.RULES)])  # the rules come first, then what may look
    assert chosen[0] == chosen[1]


def test_whose_turn_it_is_does_not_hang_on_the_test_part(monkeypatch):
    """Of boosting in groups: the arm that may look comes last and is the only one that
    changes.
    """
    luck = numpy_stream(4, "blind groups")
    given = learners.problem(luck)
    other = learners.Problem(
        (*given.columns[:2], given.columns[2][::-1]), (*given.target[:2], -given.target[2])
    )
    turns: dict[int, list[int]] = {}
    original = learners.Sequences.add
    monkeypatch.setattr(
        learners.Sequences,
        "add",
        lambda own, group, added: turns.setdefault(id(own), []).append(group) or original(own, group, added),
    )
    monkeypatch.setattr(learners, "Sequences", held_sequences(learners.Sequences))
    taken = []
    for each in (given, other):
        turns.clear()
        learners.groups_of_columns(each, numpy_stream(4, "turns"))
        taken.append(list(turns.values()))
    assert len(taken[0]) == len(learners.RULES) + 1
    assert taken[0][:-1] == taken[1][:-1] and taken[0][-1] != taken[1][-1]


def held_sequences(made):
    """The same class, its instances kept alive, so that no two share an identity."""
    alive = []

    def make(*given):
        alive.append(made(*given))
        return alive[-1]

    return make


def test_what_counts_is_where_the_validation_loss_was_least():
    target = tuple(np.array([1.0, -1.0]) for _ in range(3))
    made = learners.Sequences(
        learners.Problem(tuple(np.ones((2, 1)) for _ in range(3)), target), [np.array([0])]
    )
    step = np.array([0.5, -0.5])
    made.add(0, [step, step, step / 5])
    at_best = made.score
    made.add(0, [step, -step, 1.5 * step])  # worse on validation, better on the test part
    assert made.score == at_best == pytest.approx(1 - 0.9**2)
    assert made.gains[0] == pytest.approx(1.0)


def test_where_to_cut_does_not_hang_on_the_test_part():
    given = learners.problem(numpy_stream(4, "blind cut"), ("wine",), classes=True)
    other = learners.Problem(
        (*given.columns[:2], given.columns[2][::-1] + 1), (*given.target[:2], given.target[2][::-1].copy())
    )
    held, tested = learners.of_cuts(given)
    exchanged, apart = learners.of_cuts(other)
    np.testing.assert_array_equal(held, exchanged)
    assert not np.array_equal(tested, apart)
    assert learners.crossed(given, len(held)) == learners.crossed(other, len(held))


def test_a_cut_stops_where_nothing_more_comes_and_spends_elsewhere(monkeypatch):
    early = np.array([0.0, 1.0, *[0.5] * 18])  # best at the second component
    late = np.arange(20.0)  # ever better
    tables_of = iter([(early, early / 2), (late, late / 40)])
    monkeypatch.setattr(learners, "of_cuts", lambda _: next(tables_of))
    monkeypatch.setattr(learners, "crossed", lambda _, limit: 1)
    regret, fits = learners.cut([None, None], numpy_stream(0, "cut"))
    best = late[-1] / 40
    by_rule = dict(zip(learners.RULES, regret, strict=True))
    total = 2 * learners.CUT_FITS
    # the early one is at its best after two fits; from the third on its drought is above 0, and all
    # goes to the other
    assert by_rule["copernican"] == pytest.approx((best - late[total - 3 - 1] / 40) / 2)
    assert by_rule["default"] == pytest.approx((best - late[learners.CUT_FITS - 1] / 40) / 2)
    assert by_rule["copernican"] < by_rule["default"] and set(fits) == {learners.CUT_FITS}


def test_a_drought_is_short_for_a_great_age(monkeypatch):
    young = np.array([0.0, 1.0, *[0.5] * 18])  # best at the second component, for good
    # best at the fifth, then not before the twelfth
    old = np.array([0.0, 1, 2, 3, 4, *[3.0] * 6, *[9.0] * 9])
    tables_of = iter([(young, np.zeros(20)), (old, (old == 9).astype(float))])
    monkeypatch.setattr(learners, "of_cuts", lambda _: next(tables_of))
    monkeypatch.setattr(learners, "crossed", lambda _, limit: 1)
    regret, _ = learners.cut([None, None], numpy_stream(0, "cut"))
    found = dict(zip(learners.RULES, regret, strict=True))
    # of 18 fits 11 are left in a drought: at 2 : 5 they reach the twelfth, half and half they do not
    assert found["copernican"] == 0 and found["ageblind"] == found["default"] == 0.5


# the run


def test_a_run_of_a_part_has_the_numbers_of_that_part_alone():
    whole = subject.metrics(subject.quick, list(subject.run(subject.quick, (3,))))
    for part in ("intervals", "learners"):
        config = subject.quick.replace(part=part)
        frames = list(subject.run(config, (3,)))
        alone = subject.metrics(config, frames)
        assert len({frame.part for frame in frames}) == len(frames)  # else one part's numbers hide another's
        assert set(alone) < set(whole)
        assert all(np.array_equal(values, whole[name]) for name, values in alone.items())
        assert subject.picture(frames).lines["idea"].shape == (1, len(forecasts.LEVELS))


def test_many_seeds_still_travel_in_one_message():
    frames = list(subject.run(subject.quick.replace(part="intervals"), (0,)))
    for frame in frames:
        many = [frame] * 50
        assert len(film.pack(film.join([[each] for each in many]))) <= 64_000


def test_the_last_level_of_the_lives_is_the_confidence_that_is_set():
    frame = next(
        iter(subject.run(CopernicanConfig(part="learners", confidence=0.9, lives=2000, problems=1), (0,)))
    )
    np.testing.assert_array_equal(
        frame.simulated[:, :, -1], frame.simulated[:, :, forecasts.LEVELS.tolist().index(0.9)]
    )
    assert ("uniform", "age10") not in LIVES and len(LIVES) == len(lives.LAWS) * len(lives.INSPECTIONS) - 1


def test_the_evidence_has_every_cell_of_its_tables():
    rows = studies.read(idea.ASSETS / "copernican", subject.studies[0])
    found = tables.covers(rows)
    assert len(found) == 7 * len(forecasts.STOPS) and all(
        0 <= item.asked.mean <= 1 + 1e-6 and 0 <= item.over <= 1 for item in found
    )
    assert {(item.kind, item.stops) for item in found if item.constructed} == tables.CONSTRUCTED
    contests = tables.contests(rows)
    assert all(not set(item.beaten) & set(item.lost) for item in contests)
    reasons = tables.reasons(rows)
    assert reasons.nothing == pytest.approx(intervals.interval_score(-9.0, 9.0, np.array(0.0), 0.5))
    assert reasons.cells == 5 * 3 * 7 + 3 * 3 and reasons.doubled <= reasons.beaten <= reasons.cells
    assert all(
        fits == found["copernican"][2]
        for found in tables.regrets(rows).values()
        for _, _, fits in found.values()
    )
    assert all(item[0].mean > 0 for found in tables.regrets(rows).values() for item in found.values())
    assert set(tables.lives(rows)) == set(LIVES) and 0 <= tables.censored(rows) < 1


# files that readers bring


def lines(rows: int, form: str = "{0},{1}") -> bytes:
    return "\n".join(form.format(row, row**0.5) for row in range(1, rows + 1)).encode()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "must hold numbers, got an empty file"),
        (b"\n\n  \n", "got an empty file"),
        (b"x,y\n", "must hold numbers alone: line 1 has x"),
        (b"1,2\n", "at least 3 rows of numbers, got 1"),
        (b"x,y\n1,2\n2,3\n", "at least 3 rows of numbers, got 2"),
        (b"1,2\n2,three\n3,4\n", "must hold numbers alone: line 2 has three"),
        (b"1,2\n2,<b>x</b>\n3,4\n", "line 2 has _b_x_ b_"),
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
        (b"1" * (brought.MOST_BYTES + 1), "at most 32 MB"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(content, sentence):
    with pytest.raises(brought.BadCurve) as refusal:
        brought.read(content, "../mine<i>.csv")
    said = str(refusal.value)
    assert said.startswith("mine_i_.csv must "), said
    assert sentence in said and "\n" not in said and "<" not in said and len(said) < 300, said


def test_forms_of_a_file_that_hold_the_same_curve():
    wanted = brought.read(lines(9), "a.csv")
    text = lines(9).decode()
    spelled = [
        "\ufeff" + text, "x,y\n" + text, text.replace("\n", "\r\n"), text.replace(",", "\t"), text.replace(",", " "), text.replace(",", ", "),
        text.replace(",", ";").replace(".", ","), '"time";"gain"\n' + text.replace(",", ";"), text + "\n\n", text.replace("\n", "\n\n"),
    ]  # fmt: skip
    for each in spelled:
        found = brought.read(each.encode(), "a.csv")
        np.testing.assert_allclose(found.importance, wanted.importance, rtol=1e-12)
        np.testing.assert_array_equal(found.x, wanted.x)
    assert brought.read(text.encode("utf-16"), "a.csv").importance[-1] == 3
    assert "header" in brought.read(("x,y\n" + text).encode(), "a.csv").notes[0]
    alone = brought.read(b"1\n2\n4\n", "a.csv")
    assert alone.x.tolist() == [0, 1, 2] and alone.importance.tolist() == [1, 2, 4]


def test_a_loss_becomes_what_it_has_fallen_and_dents_are_filled():
    loss = brought.read(b"5\n3\n4\n1\n", "loss.csv")
    assert (
        loss.importance.tolist() == [0, 2, 2, 4]
        and "taken for a loss" in loss.notes[0]
        and "rises between" in loss.notes[1]
    )
    dented = brought.read(b"1\n3\n2\n4\n", "gain.csv")
    assert dented.importance.tolist() == [1, 3, 3, 4] and "most it had reached" in dented.notes[0]


def test_a_million_rows_are_thinned_and_it_is_said():
    content = "\n".join(map(str, range(1_000_000))).encode()
    found = brought.read(content, "long.csv")
    assert len(found.x) == len(found.importance) == brought.MOST_ROWS and found.x[-1] == 999_999
    assert "1,000,000 rows: 2,000 of them" in found.notes[0]
    # twice what a picture may have
    wide = "\n".join(f"{place},{place**0.5:.12f}" for place in range(1_000_000)).encode()
    assert len(wide) > 20 << 20 and brought.read(wide, "wide.csv").importance[-1] == pytest.approx(
        999_999**0.5
    )


def test_what_one_look_says():
    shown = looking.of_reader(brought.read(b"0,0\n1,1\n2,2\n3,3\n4,4\n5,4\n", "line.csv"))
    assert len(shown.x) == 5  # until the last gain
    assert [looking.stop_at(shown, share) for share in (0.01, 0.5, 0.99)] == [1, 2, 3]
    look = looking.look(shown, 1, 0.5)
    assert (look.past, look.future, look.covered, look.before, look.covered_before) == (1, 3, True, 1, 1)
    assert look.low == pytest.approx(1 / 3) and look.high == pytest.approx(3)
    look = looking.look(shown, 3, 0.0)
    assert (look.low, look.high, look.covered, look.before) == (3, 3, False, 3)
    assert math.isinf(looking.look(shown, 1, 1.0).high) and looking.look(shown, 1, 1.0).covered
    late = looking.of_reader(brought.read(b"1\n2\n4\n", "late.csv"))
    assert late.curve.importance.tolist() == [0, 1, 2, 4]
    found = looking.calibration(shown)
    assert set(found) == {"time", "importance", "improving"} and all(
        (np.diff(values) >= 0).all() for values in found.values()
    )


@pytest.mark.parametrize("kind", growth.KINDS)
def test_the_recorded_run_has_curves_to_play_with(kind):
    from mlcv_explore.experiment import runs

    frames = film.unpack(runs.film_bytes(runs.recorded("copernican")), subject.frame)
    found = looking.examples(frames, kind)
    assert len(found) == 3
    for shown in found:
        step = looking.stop_at(shown, 0.3)
        assert 0 < shown.importance[step] < shown.importance[-1]
    assert looking.calibrations(frames, kind)["time"].shape[1] == len(forecasts.LEVELS)
