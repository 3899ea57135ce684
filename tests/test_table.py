"""The table of a study's rows: by hand."""

import numpy as np
import pytest

from mlcv_explore.experiment.studies import Table
from mlcv_explore.statistics import Split, resampled_interval, t_interval

VALUES = {"plain": [0.6, 0.5, 0.7], "idea": [0.8, 0.9, 0.7]}


def rows(claim: str = "map", **settings: str) -> list[dict]:
    return [
        {"claim": claim, "arm": arm, **settings, "seed": seed, "measure": "accuracy", "value": value}
        for arm, column in VALUES.items()
        for seed, value in enumerate(column)
    ]


def test_values_come_in_the_order_of_seeds_whatever_the_rows_order():
    table = Table(rows(sigma="1.0")[::-1])
    assert table.values("map", "plain", "accuracy", sigma=1.0).tolist() == [0.6, 0.5, 0.7]
    assert table.arms("map") == ["idea", "plain"] and table.levels("map", "sigma") == ["1.0"]


def test_differences_are_paired_and_intervals_corrected_where_splits_were_redrawn():
    paired = np.array(VALUES["idea"]) - VALUES["plain"]
    plain, redrawn = Table(rows()), Table(rows(), {"map": Split(2, 1)})
    assert plain.difference("map", "idea", "plain", "accuracy") == t_interval(paired)
    assert redrawn.difference("map", "idea", "plain", "accuracy") == resampled_interval(paired, 2, 1)
    assert plain.interval("map", "plain", "accuracy") == t_interval(VALUES["plain"])


def test_what_is_not_there_or_not_one_a_seed_is_refused():
    table = Table(rows(sigma="1.0") + rows(sigma="2.0"))
    with pytest.raises(KeyError, match="no accuracy of clean"):
        table.values("map", "clean", "accuracy")
    with pytest.raises(ValueError, match="several rows a seed"):
        table.values("map", "plain", "accuracy")


def test_a_cross_table_asks_for_what_row_and_column_name_together():
    table = Table(rows(sigma="1.0") + rows("other", sigma="2.0"))
    cells = [{"claim": "map", "sigma": 1.0}, {"claim": "other"}, {"claim": "neither"}]
    shown = table.cross(
        [{"measure": "accuracy", **cell} for cell in cells],
        {"Plain": {"arm": "plain"}, "Gain": {"arm": "idea", "minus": "plain"}, "Lost": {"arm": "lost"}},
    )
    assert shown["Plain"] == [t_interval(VALUES["plain"])] * 2 + ["–"]
    assert shown["Gain"][0] == table.difference("map", "idea", "plain", "accuracy")
    assert shown["Lost"] == ["–"] * 3
    with pytest.raises(KeyError, match="with"):  # a misspelt value of a setting is no dash
        table.cross([{"claim": "map", "sigma": 3, "arm": "plain"}], {"Plain": {"measure": "accuracy"}})


def test_columns_hold_every_measure_of_every_arm_of_a_claim_in_the_order_of_seeds():
    loss = [{**row, "measure": "loss", "value": 0.0} for row in rows() if row["arm"] == "idea"]
    other = [{**row, "value": 1 + row["value"]} for row in rows("other")]
    columns = Table(other + rows()[::-1] + loss).columns("map")
    expected = {"idea_accuracy": VALUES["idea"], "plain_accuracy": VALUES["plain"], "idea_loss": [0.0] * 3}
    assert [(name, values.tolist()) for name, values in columns.items()] == list(expected.items())


def test_undefined_values_are_nan():
    broken = [{**row, "value": None} if row["seed"] == 1 else row for row in rows()]
    assert np.isnan(Table(broken).values("map", "plain", "accuracy")).tolist() == [False, True, False]


def test_a_grid_has_numeric_order_and_paired_differences():
    cells = [row for down in ("10", "2") for across in ("0.5", "1") for row in rows(down=down, across=across)]
    down, across, differences = Table(cells).grid("map", "down", "across", "idea", "plain", "accuracy")
    assert (down, across) == (["2", "10"], ["0.5", "1"])
    assert differences.shape == (2, 2, 3)
    assert differences[1, 0] == pytest.approx([0.2, 0.4, 0.0])


def test_leaders_are_the_best_arm_and_those_it_is_not_clearly_ahead_of():
    values = {
        "low": (1.0, 2.0, 3.0),
        "best": (5.0, 6.0, 7.0),
        "near": (5.5, 5.0, 6.6),
        "clear": (4.9, 5.9, 6.88),
    }
    rows = [
        {"claim": "all", "arm": arm, "seed": seed, "measure": "accuracy", "value": value}
        for arm, column in values.items()
        for seed, value in enumerate(column)
    ]
    # "clear" is nearer to the best than "near", but lower in every seed
    assert Table(rows).leaders("all", list(values), "accuracy") == ["best", "near"]
    assert Table(rows).leaders("all", ["low", "not run"], "accuracy") == ["low"]
