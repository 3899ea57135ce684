"""Charts through their specification and their numbers: intervals, colours, hatching,
words; and that each can be drawn.
"""

import io
import itertools
import json
import math
import re
import subprocess
import sys
from dataclasses import replace

import altair
import numpy as np
import pandas
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from mlcv_explore import charts
from mlcv_explore.charts import PALETTES, ROLES, Band, Bar, Chart, Difference, Line
from mlcv_explore.charts.chart import NUMBERS, _specification
from mlcv_explore.charts.curves import separated
from mlcv_explore.charts.palette import contrast, rgb, shades, signed_shades
from mlcv_explore.seeds import numpy_stream
from mlcv_explore.statistics import Interval

LIGHT = PALETTES["light"]
STEPS = np.arange(1.0, 31.0)
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


def learning(seeds: int, top: float, purpose: str) -> np.ndarray:
    """(S, T) like an accuracy: rises to `top` with noise."""
    return top * (1 - np.exp(-STEPS / 5)) + numpy_stream(0, purpose).normal(0, 0.02, (seeds, len(STEPS)))


def two_lines() -> dict[str, Line]:
    return {
        "plain": Line("baseline", learning(10, 0.65, "plain")),
        "noise σ = 1": Line("idea", learning(10, 0.9, "noisy")),
    }


def some_differences() -> list[Difference]:
    return [
        Difference(
            "noisy − plain",
            22.9,
            21.5,
            24.3,
            np.array([22.0, 23.8]),
            "idea",
            "supported",
            2.0,
            "greater",
            "points",
        ),
        Difference(
            "fresh − static",
            0.3,
            -0.2,
            0.8,
            np.array([0.1, 0.5]),
            "variant",
            "supported",
            1.0,
            "equal",
            "points",
        ),
        Difference(
            "one seed",
            -4.2,
            -math.inf,
            math.inf,
            np.array([-4.2]),
            "control",
            "undecided",
            1.0,
            "less",
            "points",
        ),
    ]


def some_cone(stop: int, palette: charts.Palette = LIGHT) -> Chart:
    grown = np.sqrt(STEPS)
    past = grown[stop]
    bands = (Band("95%", past * (1 + 1 / 39), math.inf), Band("50%", past * 4 / 3, past * 4))
    return charts.cone(STEPS, grown, stop, 2 * past, bands, "step", "gain", palette, (0.0, 8.0))


def some_map(
    palette: charts.Palette = LIGHT, at: tuple[float, float] = (2.0, 1.0), went: int = 3, words: bool = False
) -> Chart:
    places = np.array([[0.0, 0.0], [1.0, 0.5], [4.0, 2.0], [3.0, 1.0]])
    labels = ["circle", "star", "star", "square"] if words else ["0", "7", "7", "3"]
    trail = np.linspace((0.0, 0.0), (4.0, 2.0), 5)[:went]
    here = {"first": (0.0, 0.0, "idea"), "mixed": (*at, "variant")}
    return charts.points(
        places,
        labels,
        ["idea", "", "", "variant"],
        palette,
        trail=trail,
        here=here,
        names={"idea": "its class"},
    )


def every_chart(scheme: str) -> dict[str, Chart]:
    palette = PALETTES[scheme]
    values = np.array([[0.0, 1.5, -3.0], [2.0, np.nan, 4.0]])
    published = Line("other", np.array([0.5, 0.7, 0.6]), "Chen et al. 2021", np.array([1.0, 15.0, 30.0]))
    return {
        "curves": charts.curves(
            STEPS, two_lines(), "epoch", "test accuracy", palette=palette, marks={"now": 12.0}, seeds=True
        ),
        "published": charts.curves(
            STEPS, two_lines() | {"σ sweep": published}, "epoch", "accuracy", palette=palette, y_domain=(0, 1)
        ),
        "differences": charts.paired_differences(some_differences(), palette),
        "effects": charts.effects(
            [*some_differences(), Difference("rank", 0.2, 0.1, 0.3, unit="correlation")], palette
        ),
        "bars": charts.bars_with_intervals(
            [Bar("plain", 0.65, 0.64, 0.66, "baseline"), Bar("noisy", 0.88, 0.87, 0.89, "idea")],
            "accuracy",
            palette,
        ),
        "heat map": charts.heat_map(
            values,
            ["0.2", "0.4"],
            ["a", 'b"', "c"],
            ("corruption", "σ", "points"),
            palette,
            significant=values > 1,
        ),
        "histograms": charts.histograms(
            np.linspace(0, 1, 4),
            {"clean": ("baseline", np.array([[1, 2, 3], [3, 2, 1]]))},
            "confidence",
            palette,
        ),
        "cone": some_cone(10, palette),
        "points": some_map(palette),
        "points with words": some_map(palette, words=True),
        "shares": charts.shares(
            ["circle", "square"],
            {"target": ("idea", np.array([0.3, 0.7])), "predicted": ("baseline", np.array([0.5, 0.5]))},
            palette,
        ),
        "thumbnail": charts.thumbnail(
            STEPS, {"baseline": learning(5, 0.6, "plain"), "idea": learning(5, 0.9, "noisy")}, palette
        ),
    }


def part(chart: Chart, name: str) -> pandas.DataFrame:
    table = chart.data.to_pandas()
    return table[table["part"] == name].reset_index(drop=True)


# --- the contract of a chart


@SCHEMES
@pytest.mark.parametrize("name", every_chart("light"))
def test_every_chart_is_valid_and_can_be_drawn(name: str, scheme: str) -> None:
    chart = every_chart(scheme)[name]
    altair.Chart.from_dict(chart.to_dict())  # raises on anything that Vega-Lite's schema does not know
    svg = chart.svg()
    for text in part(chart, "label")["text"] if "text" in chart.data.column_names else []:
        assert all(word.replace('"', "&quot;") in svg for word in text.split("\n")), (
            f"{text!r} is missing in the chart"
        )
    json.dumps(chart.spec)  # what Streamlit sends


def test_an_exported_chart_has_its_background_and_a_thumbnail_has_none() -> None:
    drawn = every_chart("dark")
    image = Image.open(io.BytesIO(drawn["bars"].png(scale=1))).convert("RGBA")
    assert image.getpixel((1, 1)) == (*rgb(PALETTES["dark"].background), 255)
    sparkline = drawn["thumbnail"].svg()
    assert 'width="240"' in sparkline and 'height="96"' in sparkline
    assert PALETTES["dark"].background not in sparkline and "http" not in sparkline.replace(
        "http://www.w3.org", ""
    )
    assert len(sparkline) < 12_000


def test_new_numbers_leave_the_specification_as_it_is() -> None:
    def drawn(purpose: str, now: float) -> Chart:
        return charts.curves(
            STEPS,
            {"a": Line("idea", learning(4, 0.8, purpose))},
            "step",
            "loss",
            palette=LIGHT,
            marks={"now": now},
        )

    first, second = drawn("one", 3.0), drawn("two", 29.0)
    assert first.spec == second.spec and first.subject == second.subject
    assert first.description != second.description and not first.data.equals(second.data)


def test_altair_is_imported_by_the_first_chart_and_not_before() -> None:
    code = (
        "import sys, numpy as np\nfrom mlcv_explore import charts\nassert 'altair' not in sys.modules\n"
        "charts.effects([charts.Difference('a', 1.0, 0.5, 1.5)], charts.PALETTES['light'])\n"
        "assert 'altair' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_kind_is_built_once_and_every_chart_has_its_own_copy() -> None:
    def drawn(title: str, rows: int) -> Chart:
        return charts.paired_differences([Difference(title, 1.0, 0.5, 1.5, unit=title)] * rows, LIGHT)

    first = drawn("points", 1)
    built = _specification.cache_info().misses
    second = drawn("bits", 3)
    assert _specification.cache_info().misses == built and second.spec["height"] > first.spec["height"]
    assert second.spec["encoding"]["x"]["axis"]["title"] == "difference, bits"
    second.spec["encoding"]["x"]["axis"]["tickMinStep"] = 1
    assert (
        drawn("bits", 3).spec == {**second.spec, "encoding": drawn("bits", 3).spec["encoding"]} != second.spec
    )


@pytest.mark.parametrize("name", every_chart("light"))
def test_every_placeholder_is_filled(name: str) -> None:
    written = json.dumps(every_chart("light")[name].spec).replace('"$schema"', "")
    assert '"$' not in written


@pytest.mark.parametrize("name", every_chart("light"))
def test_only_points_have_both_a_colour_and_a_fill(name: str) -> None:
    """Elsewhere a browser logs that it drops the colour."""
    spec = every_chart("light")[name].spec
    for layer in spec["layer"]:
        encoding = {**spec["encoding"], **layer.get("encoding", {})}
        assert layer["mark"]["type"] == "point" or not {"color", "fill"} <= set(encoding)


@pytest.mark.parametrize("name", every_chart("light"))
def test_no_axis_is_fitted_to_the_rows_of_a_layer(name: str) -> None:
    """A browser logs "Infinite extent" for a column without numbers, and for every one
    of them before the data arrive.
    """
    for scale in vl_convert.vegalite_to_vega(every_chart("light")[name].spec)["scales"]:
        if scale["type"] not in ("ordinal", "band", "point"):
            assert isinstance(scale["domain"], list) or set(scale["domain"]) == {"signal"}, scale


def test_the_numbers_to_take_along_are_tidy_and_hold_no_furniture() -> None:
    for name, chart in every_chart("light").items():
        table = pandas.read_csv(io.StringIO(chart.csv()))
        assert tuple(table.columns) == chart.columns, name
        assert len(table) == chart.data.to_pandas()["part"].isin(NUMBERS).sum() > 0, name


# --- curves


def test_bands_are_the_t_interval_over_seeds() -> None:
    values = learning(7, 0.8, "band")
    table = pandas.read_csv(
        io.StringIO(
            charts.curves(STEPS, {"a": Line("idea", values)}, "step", "accuracy", palette=LIGHT).csv()
        )
    )
    low, high = stats.t.interval(0.95, 6, values.mean(axis=0), stats.sem(values, axis=0))
    np.testing.assert_allclose(table["mean"], values.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(table["low"], low, rtol=1e-8)
    np.testing.assert_allclose(table["high"], high, rtol=1e-8)
    assert set(table["n"]) == {7}


def test_one_seed_has_no_band_and_a_missing_value_is_not_filled_in() -> None:
    values = learning(3, 0.8, "gap")
    values[1, 4] = np.nan
    table = part(
        charts.curves(
            STEPS,
            {"one": Line("idea", values[0]), "three": Line("variant", values)},
            "step",
            "y",
            palette=LIGHT,
        ),
        "value",
    )
    one, three = table[table["line"] == "one"], table[table["line"] == "three"].reset_index(drop=True)
    assert one["low"].isna().all() and one["mean"].notna().all()
    assert list(np.flatnonzero(three["mean"].isna())) == [4]


def test_the_description_carries_n_and_the_last_values() -> None:
    values = np.array([[0.0, 0.5, 0.7], [0.1, 0.6, 0.9]])
    chart = charts.curves(
        np.array([1, 2, 5]),
        {"plain": Line("baseline", values)},
        "epoch",
        "accuracy",
        palette=LIGHT,
        marks={"stop": 2},
        y_format=".3f",
    )
    low, high = stats.t.interval(0.95, 1, 0.8, stats.sem([0.7, 0.9]))
    assert f"plain 0.800 [{low:.3f}, {high:.3f}] (n = 2 seeds) at epoch 5" in chart.description
    assert "stop at 2" in chart.description


def test_every_seed_is_drawn_on_request_and_only_then() -> None:
    assert not len(part(charts.curves(STEPS, two_lines(), "x", "y", palette=LIGHT), "seed"))
    chart = charts.curves(STEPS, two_lines(), "x", "y", palette=LIGHT, seeds=True)
    seeds = part(chart, "seed")
    fourth = seeds[(seeds["line"] == "plain") & (seeds["seed"] == 3)]
    np.testing.assert_array_equal(fourth["mean"], two_lines()["plain"].values[3])
    assert len(seeds) == 2 * 10 * len(STEPS)


def test_published_numbers_are_called_so_and_drawn_unlike_anything_measured_here() -> None:
    line = Line("other", np.array([0.5, 0.8]), "Chen et al. 2021, one seed", np.array([0.0, 2.0]))
    chart = charts.curves(
        np.array([0.0, 1.0]),
        {"ours": Line("idea", np.ones((3, 2))), "sweep": line},
        "σ",
        "accuracy",
        palette=LIGHT,
    )
    rows = part(chart, "value")
    theirs = rows[rows["line"] == "published: sweep"]
    assert (
        list(theirs["x"]) == [0.0, 2.0]
        and set(theirs["stroke"]) == {"published"}
        and theirs["low"].isna().all()
    )
    assert "published: sweep 0.80 (Chen et al. 2021, one seed)" in chart.description


def test_labels_stay_at_the_edge_of_a_fixed_axis_while_the_lines_grow() -> None:
    short = {label: Line(line.role, line.values[:, :5]) for label, line in two_lines().items()}
    chart = charts.curves(STEPS[:5], short, "x", "y", palette=LIGHT, x_domain=(1, 30))
    assert set(part(chart, "label")["x"]) == {30.0}


@pytest.mark.parametrize(("x", "least"), [(np.arange(5.0), 1), (np.linspace(0, 1, 5), None)])
def test_between_whole_numbers_there_are_no_ticks(x: np.ndarray, least: int | None) -> None:
    chart = charts.curves(x, {"a": Line("idea", np.zeros(5))}, "layer", "y", palette=LIGHT)
    assert chart.spec["encoding"]["x"]["axis"].get("tickMinStep") == least


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_the_axis_holds_every_band_and_every_seed_without_wasting_half_of_it(
    at: float, wide: float, seeds: bool
) -> None:
    values = at + wide * np.array([[0.0, 0.3], [0.1, 1.0], [0.2, 0.6]])
    chart = charts.curves(
        np.array([0.0, 1.0]), {"a": Line("idea", values)}, "x", "y", palette=LIGHT, seeds=seeds
    )
    low, high = part(chart, "frame")["y_end"]
    shown = part(chart, "value")[["mean", "low", "high"]].to_numpy()
    reached = np.concatenate([shown.ravel(), values.ravel()]) if seeds else shown.ravel()
    slack = 1e-6 * max(abs(at), wide)
    assert low <= reached.min() + slack and reached.max() - slack <= high
    assert high - low <= 2 * (reached.max() - reached.min()) + slack


def test_a_line_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="'short' must have 30 values a seed"):
        charts.curves(STEPS, {"short": Line("idea", np.ones((2, 29)))}, "x", "y", palette=LIGHT)


def test_nothing_to_draw_draws_nothing() -> None:
    empty = charts.curves(np.array([]), {}, "x", "y", palette=LIGHT)
    undefined = charts.curves(STEPS, {"a": Line("idea", np.full((2, 30), np.nan))}, "x", "y", palette=LIGHT)
    assert "no values yet" in undefined.description
    for chart in (empty, undefined, charts.paired_differences([], LIGHT)):
        assert chart.svg().startswith("<svg")


@given(st.lists(st.tuples(st.floats(-50, 350), st.sampled_from([16.0, 32.0, 48.0])), min_size=1, max_size=6))
def test_labels_never_overlap_and_stay_inside(boxes: list[tuple[float, float]]) -> None:
    targets, heights = np.array([box[0] for box in boxes]), np.array([box[1] for box in boxes])
    placed = separated(targets, heights, 300.0)
    order = np.argsort(placed)
    low, high = (placed - heights / 2)[order], (placed + heights / 2)[order]
    assert (low[1:] >= high[:-1] - 1e-6).all()
    assert low[0] >= -1e-6 and high[-1] <= 300 + 1e-6  # six of the highest fit: 288


def test_labels_with_room_stand_where_they_want() -> None:
    np.testing.assert_allclose(
        separated(np.array([200.0, 40.0, 120.0]), np.full(3, 16.0), 300.0), [200, 40, 120]
    )
    np.testing.assert_allclose(separated(np.array([100.0, 100.0]), np.full(2, 20.0), 300.0), [90, 110])


# --- differences and arms


def test_a_row_shows_its_interval_its_seeds_and_its_margin() -> None:
    chart = charts.paired_differences(some_differences(), LIGHT)
    rows, shades_, seeds = part(chart, "value"), part(chart, "shade"), part(chart, "seed")
    assert list(rows["x_low"][:2]) == [21.5, -0.2] and list(rows["x_high"][:2]) == [24.3, 0.8]
    assert [tuple(pair) for pair in shades_[["x", "x_high"]].to_numpy()] == [
        (0, 2),
        (-1, 1),
        (-1, 0),
    ]  # greater, equal, less
    assert list(seeds[seeds["name"] == "noisy − plain"]["x"]) == [22.0, 23.8]
    assert "noisy − plain +22.9 [21.5, 24.3] points · supported (n = 2 seeds)" in chart.description


def test_a_difference_without_bounds_has_a_dot_and_no_bar() -> None:
    chart = charts.paired_differences(some_differences(), LIGHT)
    alone = part(chart, "value").iloc[2]
    assert alone["x"] == -4.2 and math.isnan(alone["x_low"]) and math.isnan(alone["x_high"])
    assert "one seed −4.2 points · undecided (n = 1 seed)" in chart.description


def test_every_effect_has_a_scale_of_its_own_whose_ends_are_labelled() -> None:
    """A large effect does not shrink a small one, even of the same unit."""
    small = Difference("tie", 0.4, 0.0, 0.8, unit="points", margin=1.0, direction="equal")
    tiny = Difference("nats", -0.02, -0.034, -0.01, unit="nats")
    chart = charts.effects([*some_differences()[:1], small, tiny], LIGHT)
    rows, shade, ticks = part(chart, "value"), part(chart, "shade"), part(chart, "tick")
    np.testing.assert_allclose(rows["x_high"], [24.3 / 30, 0.8, -0.01 / 0.04])
    np.testing.assert_allclose(rows["x_low"], [21.5 / 30, 0.0, -0.034 / 0.04])
    assert list(rows["mean"]) == [22.9, 0.4, -0.02]
    assert tuple(shade[["x", "x_high"]].iloc[1]) == (-1.0, 1.0), "the margin, wider than the interval"
    assert list(ticks["text"]) == ["−30", "0", "30", "−1", "0", "1", "−0.04", "0", "0.04"]
    assert list(ticks["x"]) == [-1, 0, 1] * 3
    axis = chart.spec["encoding"]["x"]["axis"]
    assert axis["title"] == "" and not axis["labels"]
    zeros = part(charts.effects([Difference("none", 0.0, 0.0, 0.0)], LIGHT), "tick")
    assert list(zeros["text"]) == ["−1", "0", "1"]


def test_units_are_never_mixed_on_one_scale() -> None:
    seeds = part(
        charts.paired_differences(
            [*some_differences(), Difference("rank", 0.2, 0.1, 0.3, np.array([0.15]), unit="correlation")],
            LIGHT,
        ),
        "seed",
    )
    assert seeds["x"].iloc[-1] == pytest.approx(0.5) and seeds["mean"].iloc[-1] == 0.15
    same = charts.paired_differences(some_differences(), LIGHT)
    assert (
        part(same, "value")["x"][0] == 22.9
        and same.spec["encoding"]["x"]["axis"]["title"] == "difference, points"
    )


def test_zero_is_always_on_the_axis() -> None:
    far = [Difference("far", 22.9, 21.5, 24.3, unit="points")]
    x_ends = part(charts.paired_differences(far, LIGHT), "frame")["x_end"]
    assert x_ends.min() < 0 < 24.3 < x_ends.max()


def test_numbers_are_written_as_everywhere_else_and_beside_the_dot_of_an_effect() -> None:
    interval = Interval(10.7, 18.5, 26.3, 0.95, 20, "t")
    row = Difference("glyphs", 18.5, 10.7, 26.3, unit="points")
    for chart in (charts.effects([row], LIGHT), charts.paired_differences([row], LIGHT)):
        assert f"glyphs {interval.text(signed=True)} points" in chart.description
    chart = charts.effects([row], LIGHT)
    value, scale = part(chart, "value").iloc[0], chart.spec["encoding"]["x"]["scale"]
    assert value["text"] == "+18.5 [10.7, 26.3] points" and value["text_at"] == value["at"]
    assert scale["range"] == [0, {"expr": "width - 190"}], "the right is left to the numbers"
    named = charts.effects([replace(row, name="glyphs · generated")], LIGHT)
    assert list(part(named, "label")["text"]) == ["glyphs\ngenerated"]


def test_bars_start_at_zero() -> None:
    chart = charts.bars_with_intervals(
        [Bar("plain", 0.65, 0.64, 0.66, "baseline")], "accuracy", LIGHT, x_format=".0%", x_domain=(0, 1)
    )
    bar = part(chart, "bar").iloc[0]
    assert (bar["x"], bar["x_high"]) == (0.0, 0.65)
    assert "plain 65.0 % [64.0, 66.0]" in chart.description


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.461, 0.266, 0.6551), "0.461 [0.266, 0.655]"),
        ((0.383, 0.34, 0.426), "0.383 [0.340, 0.426]"),
        ((7.616, 5.97, 9.26), "7.62 [5.97, 9.26]"),
        ((-0.0001, -12.3, 12.3), "0.0 [−12.3, 12.3]"),
        ((95.0, 95.0 - 1e-12, 95.0 + 1e-12), "95.0"),
        ((4.2, -math.inf, math.inf), "4.20"),
    ],
)
def test_bars_have_equal_decimals_and_no_bounds_without_width(
    numbers: tuple[float, float, float], text: str
) -> None:
    chart = charts.bars_with_intervals([Bar("arm", *numbers, "idea")], "score", LIGHT, x_format=".3g")
    assert part(chart, "value")["text"].iloc[0] == text


# --- heat maps


@SCHEMES
def test_zero_has_the_colour_of_the_paper_and_the_limits_are_symmetric(scheme: str) -> None:
    palette = PALETTES[scheme]
    chart = charts.heat_map(
        np.array([[-5.0, 0.0, 1.0]]), ["r"], ["a", "b", "c"], ("row", "column", "points"), palette
    )
    scale = chart.spec["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"][0] == -5.0 and scale["domain"][-1] == 5.0 and scale["domain"][5] == 0.0
    assert (
        scale["range"][5] == palette.background
        and scale["range"][0] == palette.signed[0]
        and scale["range"][-1] == palette.signed[9]
    )
    assert list(part(chart, "value")["fill"])[:2] == [palette.signed[0], palette.background]


def squares(drawn: str, fill: str, more: str = "") -> list[str]:
    """The outlines of the rectangles of an SVG with such a fill."""
    return re.findall(rf'<path d="(M[^"]*h[^"]*v[^"]*h[^"]*Z)" fill="{fill}"{more}', drawn)


def test_exactly_the_cells_that_are_not_significant_are_hatched() -> None:
    generator = numpy_stream(0, "cells")
    values, significant = generator.normal(size=(4, 5)), generator.random((4, 5)) < 0.5
    values[2, 3], significant[2, 3] = np.nan, False  # an empty cell is not an uncertain one
    chart = charts.heat_map(
        values, list("abcd"), list("vwxyz"), ("row", "column", "points"), LIGHT, significant=significant
    )
    hatched, cells = part(chart, "hatch"), part(chart, "value")
    where = {(int(row["y"]), int(row["x"])) for _, row in hatched.iterrows()}
    assert where == {
        (int(row), int(column))
        for row, column in zip(*np.nonzero(~significant & np.isfinite(values)), strict=True)
    }
    assert len(hatched) == len(where) and {(row["row"], row["y"]) for _, row in cells.iterrows()} == {
        (name, at) for at, name in enumerate("abcd")
    }
    covered, drawn = (
        squares(chart.svg(), r"url\(#\w+\)", ' opacity="0.45"'),
        squares(chart.svg(), r"rgb\([^)]*\)"),
    )
    assert len(covered) == len(where) and set(covered) <= set(drawn), "a stripe leaves its cell"
    assert f"{len(where)} of 19 cells are hatched" in chart.description


def test_rows_keep_the_order_they_were_given_in() -> None:
    chart = charts.heat_map(
        np.arange(3.0)[:, None], ["0.2", "10", "9"], ["a"], ("σ", "c", "v"), LIGHT, signed=False
    )
    cells = part(chart, "value")
    assert list(cells["row"]) == ["0.2", "10", "9"] and list(cells["y"]) == [0, 1, 2]
    drawn = chart.svg()
    heights = [
        float(re.search(rf"translate\([^,]*,([^)]*)\)[^>]*>{re.escape(name)}<", drawn)[1])
        for name in ("0.2", "10", "9")
    ]
    assert heights == sorted(heights)
    assert list(cells["fill"]) == [
        LIGHT.amounts[0],
        f"#{bytes(shades(np.array(0.5), LIGHT.amounts)).hex().upper()}",
        LIGHT.amounts[9],
    ]


def test_every_row_of_a_tall_heat_map_has_its_name_and_a_column_may_have_two_lines() -> None:
    names = [f"method {number}" for number in range(12)]
    drawn = charts.heat_map(
        np.arange(24.0).reshape(12, 2), names, ["first\nline", "other"], ("map", "property", "v"), LIGHT
    ).svg()
    assert all(f">{name}<" in drawn for name in (*names, "first", "line", "other"))


@SCHEMES
def test_every_number_in_a_cell_can_be_read(scheme: str) -> None:
    values = np.linspace(-1, 1, 41)[None]
    for signed in (True, False):
        cells = part(
            charts.heat_map(
                values, ["r"], [str(i) for i in range(41)], ("r", "c", "v"), PALETTES[scheme], signed=signed
            ),
            "value",
        )
        cells = cells[cells["text"] != "–"]
        ratios = [
            float(contrast(np.array(rgb(ink)), np.array(rgb(fill))))
            for ink, fill in zip(cells["ink"], cells["fill"], strict=True)
        ]
        assert min(ratios) >= 4.5


def test_shapes_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match="must be 2 rows by 1 columns"):
        charts.heat_map(np.ones((1, 2)), ["a", "b"], ["c"], ("r", "c", "v"), LIGHT)


# --- histograms


def test_histograms_show_shares_on_one_scale() -> None:
    counts = {"few": ("baseline", np.array([[1, 1, 2], [2, 0, 2]])), "many": ("idea", np.array([100, 0, 0]))}
    chart = charts.histograms(np.array([0.0, 1.0, 2.0, 3.0]), counts, "confidence", LIGHT)
    table = pandas.read_csv(io.StringIO(chart.csv()))
    few = table[table["group"] == "few"]
    np.testing.assert_allclose(few["share"], [0.375, 0.125, 0.5])
    low, _ = stats.t.interval(0.95, 1, 0.375, stats.sem([0.25, 0.5]))
    assert few["low"].iloc[0] == pytest.approx(low)
    bars = part(chart, "value")
    heights = bars["y"] - bars["y2"]
    np.testing.assert_allclose(
        heights / heights.iloc[0], bars["share"] / bars["share"].iloc[0]
    )  # across panels too
    whisker = (bars["y"] - bars["y_high"])[:3]
    np.testing.assert_allclose(whisker / heights[:3], bars["high"][:3] / bars["share"][:3])
    assert (bars["y2"] >= np.floor(bars["y"])).all(), "a bar leaves its panel"


def test_a_group_without_counts_is_empty_not_zero() -> None:
    chart = charts.histograms(np.array([0.0, 1.0, 2.0]), {"none": ("idea", np.array([0, 0]))}, "x", LIGHT)
    assert part(chart, "value")["share"].isna().all() and "none has no values yet" in chart.description
    with pytest.raises(ValueError, match="must have 2 counts"):
        charts.histograms(np.array([0.0, 1.0, 2.0]), {"three": ("idea", np.array([1, 2, 3]))}, "x", LIGHT)


# --- the colour language

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def oklab(colour: str, deficiency: str) -> np.ndarray:
    """Ottosson 2020."""
    share = np.array(rgb(colour)) / 255
    linear = np.clip(
        DEFICIENCIES[deficiency]
        @ np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4),
        0,
        1,
    )
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    mixed = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(mixed) @ np.cbrt(cones @ linear)


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize(("scheme", "apart"), [("light", 0.10), ("dark", 0.09)])
def test_every_two_roles_are_distinguishable_with_every_colour_vision(
    scheme: str, apart: float, deficiency: str
) -> None:
    colours = {role: oklab(PALETTES[scheme].roles[role].colour, deficiency) for role in ROLES}
    distances = {
        pair: float(np.linalg.norm(colours[pair[0]] - colours[pair[1]]))
        for pair in itertools.combinations(ROLES, 2)
    }
    assert round(min(distances.values()), 2) >= apart, min(distances, key=distances.__getitem__)


@SCHEMES
def test_colours_stand_out_from_their_paper(scheme: str) -> None:
    palette = PALETTES[scheme]

    def against(first: str, second: str) -> float:
        return round(float(contrast(np.array(rgb(first)), np.array(rgb(second)))), 1)

    assert min(against(style.colour, palette.background) for style in palette.roles.values()) >= 3.1
    assert (
        against(palette.text, palette.background) >= 15 and against(palette.muted, palette.background) >= 5.3
    )
    assert against("#FFFFFF", palette.primary) >= 5.1
    assert contrast(np.array(rgb("#000000")), np.array(rgb("#FFFFFF"))) == pytest.approx(21)


@SCHEMES
def test_dash_and_marker_repeat_the_colour(scheme: str) -> None:
    styles = PALETTES[scheme].roles.values()
    assert len({(style.dash, style.marker, style.filled, style.width) for style in styles}) == len(ROLES)
    assert len({style.colour for style in styles}) == len(ROLES)


@SCHEMES
def test_scales_have_ten_steps_and_amounts_move_away_from_the_paper(scheme: str) -> None:
    palette = PALETTES[scheme]
    assert len(palette.signed) == len(palette.amounts) == 10
    lightness = np.array([oklab(colour, "none")[0] for colour in palette.amounts])
    paper = oklab(palette.background, "none")[0]
    assert (np.diff(np.abs(lightness - paper)) > 0).all()


@given(st.floats(-2, 2), st.sampled_from(["light", "dark"]))
def test_signed_values_of_either_sign_are_mirrored_in_place_not_in_colour(value: float, scheme: str) -> None:
    palette = PALETTES[scheme]
    shown = signed_shades(np.array([value]), 1.0, palette)[0].astype(int)
    if abs(value) < 1e-9:
        assert tuple(shown) == rgb(palette.background)
    elif abs(value) > 0.2:  # beyond the first step: blue below, orange above
        assert (shown[2] > shown[0]) == (value < 0)
    clipped = signed_shades(np.array([np.sign(value) * 1.0]), 1.0, palette)[0]
    if abs(value) >= 1:
        assert tuple(shown) == tuple(clipped)


def test_a_signed_scale_needs_a_limit() -> None:
    with pytest.raises(ValueError, match="limit"):
        signed_shades(np.zeros(2), 0.0, LIGHT)


# --- a cone


def test_a_cone_opens_from_the_stop_and_only_its_numbers_move() -> None:
    early, late = some_cone(4), some_cone(20)
    assert early.spec == late.spec and early.subject == late.subject and early.description != late.description
    seen, came = part(early, "value"), part(early, "seed")
    assert len(seen) == 5 and len(came) == len(STEPS) - 4 and seen["y"].iloc[-1] == came["y"].iloc[0]
    for name in ("wide", "narrow"):
        band = part(early, name)
        assert band["low"].iloc[0] == band["high"].iloc[0] == pytest.approx(math.sqrt(5))
        assert (
            band["low"].iloc[1] < band["high"].iloc[1] < math.inf
        )  # an infinite end is drawn far beyond the chart
    assert "to infinity" in early.description


# --- a map


def test_a_marker_that_moves_redraws_in_place_and_a_map_keeps_its_limits() -> None:
    early, late = some_map(went=1, at=(0.5, 0.1)), some_map(went=5, at=(3.9, 1.9))
    assert early.spec == late.spec and early.subject == late.subject and early.description != late.description
    for side, ends in (("x", [-0.2, 4.2]), ("y", [-0.1, 2.1])):  # 5 % beyond 0…4 and 0…2
        for chart in (early, late):
            assert (
                list(part(chart, "frame")[f"{side}_end"]) == pytest.approx(ends)
                and chart.spec["encoding"][side]["axis"] is None
            )
    bare = charts.points(np.array([[0.0, 0.0], [4.0, 2.0]]), ["0", "7"], ["", ""], LIGHT)
    assert bare.spec == early.spec and not len(part(bare, "seed")) and not len(part(bare, "here"))


def test_a_layer_of_a_map_that_has_a_name_has_it_alone() -> None:
    """A browser refuses the whole chart when two layers share one; an exported chart
    has no layer for the pointer, and would not show it.
    """
    spec = charts.points(np.array([[0.0, 0.0], [4.0, 2.0]]), ["0", "7"], ["", ""], LIGHT).spec
    named = [layer["name"] for layer in spec["layer"] if "name" in layer]
    assert named == ["hover"]


def test_what_leaves_the_map_is_drawn_at_its_edge() -> None:
    chart = some_map(at=(99.0, -99.0))
    marker = part(chart, "here").iloc[1]
    assert (marker["x"], marker["y"]) == (pytest.approx(4.2), pytest.approx(-0.1))
    assert part(chart, "label")["y"].iloc[1] >= -0.1 and part(chart, "label")["side"].iloc[1] == "right"
    assert "mixed at (4.2, −0.1)" in chart.description


def test_short_labels_are_their_own_glyphs_and_long_ones_are_dots_in_their_roles_shape() -> None:
    short, long = some_map(), some_map(words=True)
    assert all(f">{glyph}<" in short.svg() for glyph in "073") and ">star<" not in long.svg()
    marks = [
        [layer_spec["mark"]["type"] for layer_spec in chart.spec["layer"][:2]] for chart in (short, long)
    ]
    assert marks == [["text", "text"], ["point", "point"]]
    shape = long.spec["layer"][1]["encoding"]["shape"]["scale"]
    assert dict(zip(shape["domain"], shape["range"], strict=True)) == {
        role: LIGHT.roles[role].marker for role in ROLES
    }
    assert charts.points(np.zeros((1, 2)), ["ten"], [""], LIGHT).spec["layer"][0]["mark"]["type"] == "point"


@SCHEMES
def test_points_without_a_group_are_grey_and_the_others_have_their_roles_colour(scheme: str) -> None:
    palette = PALETTES[scheme]
    lone = {"": palette.muted, "idea": palette.roles["idea"].colour, "other": palette.roles["other"].colour}
    for group, colour in lone.items():
        drawn = charts.points(np.array([[0.0, 0.0], [1.0, 1.0]]), ["q", "q"], [group, group], palette).svg()
        glyphs = [piece.split(">q<")[0] for piece in drawn.split("<text")[1:] if ">q<" in piece]
        assert len(glyphs) == 2 and all(f'fill="{colour}"' in glyph for glyph in glyphs)


def test_the_words_of_a_map_count_its_points_and_name_its_markers() -> None:
    words = some_map().description
    assert (
        "4 points with 3 different labels. its class: 1 point labelled 0. variant: 1 point labelled 3."
        " A trail of 3 places." in words
    )
    assert "first at (0, 0). mixed at (2, 1)." in words
    table = pandas.read_csv(io.StringIO(some_map().csv()))
    assert list(table["x"]) == [0, 1, 4, 3, 0, 1, 2] and list(table["step"].dropna()) == [0, 1, 2]


def test_names_of_markers_in_one_place_do_not_overlap() -> None:
    labels = part(some_map(at=(0.0, 0.0)), "label")["y"].to_numpy()
    assert abs(labels[1] - labels[0]) >= 16 / 360 * 2.2  # a line's height of a map 2.2 high on 360 pixels


def test_the_trail_is_drawn_in_the_order_it_went() -> None:
    back = np.array([[3.0, 1.0], [0.0, 0.0], [2.0, 2.0]])
    drawn = charts.points(np.array([[0.0, 0.0], [4.0, 2.0]]), ["0", "7"], ["", ""], LIGHT, trail=back).svg()
    line = next(
        piece
        for piece in drawn.split("<path")[1:]
        if 'd="M' in piece and piece.split('d="M')[1].split('"')[0].count("L") == 2
    )
    across = [float(pair.split(",")[0]) for pair in line.split('d="M')[1].split('"')[0].split("L")]
    assert across[1] < across[2] < across[0]


def test_more_trails_have_the_colour_of_their_role_and_stay_apart() -> None:
    lines = {"trail": np.array([[0.0, 0.0], [4.0, 2.0]]), "more_trails": {"control": np.ones((3, 2))}}
    chart = charts.points(np.array([[0.0, 0.0], [4.0, 2.0]]), ["0", "7"], ["", ""], LIGHT, **lines)
    table = part(chart, "seed")
    assert table["role"].tolist() == ["idea"] * 2 + ["control"] * 3
    assert table["step"].tolist() == [0, 1, 0, 1, 2]
    assert "A trail of 2 places. A trail of 3 places." in chart.description
    assert f'stroke="{LIGHT.roles["control"].colour}"' in chart.svg()


def test_a_map_of_one_point_or_none_can_be_drawn_and_lengths_must_agree() -> None:
    for count in (0, 1):
        assert (
            charts.points(np.zeros((count, 2)), ["7"] * count, [""] * count, LIGHT).svg().startswith("<svg")
        )
    with pytest.raises(ValueError, match="one label and one group each"):
        charts.points(np.zeros((2, 2)), ["7"], ["", ""], LIGHT)
    with pytest.raises(ValueError, match="got 'blue'"):
        charts.points(np.zeros((1, 2)), ["7"], ["blue"], LIGHT)


# --- shares


def test_two_distributions_stand_bar_by_bar_with_their_numbers_and_redraw_in_place() -> None:
    target, predicted = np.array([0.0, 1 / 3, 2 / 3]), np.array([0.1, 0.2, 0.7])
    chart = charts.shares(
        ["a", "b", "c"], {"target": ("idea", target), "predicted": ("baseline", predicted)}, LIGHT
    )
    other = charts.shares(
        ["a", "b", "c"], {"target": ("idea", predicted), "predicted": ("baseline", target)}, LIGHT
    )
    assert (
        chart.spec == other.spec and chart.subject == other.subject and chart.description != other.description
    )
    drawn = part(chart, "value")
    assert list(drawn["share"]) == [*target, *predicted] and list(drawn["text"])[1] == "0.333"
    spans = sorted(zip(drawn["top"], drawn["bottom"], strict=True))
    assert all(top < bottom for top, bottom in spans) and all(
        one[1] <= two[0] for one, two in itertools.pairwise(spans)
    )
    assert "target: a 0.000, b 0.333, c 0.667; predicted: a 0.100" in chart.description
    assert all(f">{name}<" in chart.svg() for name in "abc")
    with pytest.raises(ValueError, match="one share for each of 2 classes"):
        charts.shares(["a", "b"], {"target": ("idea", target)}, LIGHT)


def test_after_the_warm_up_no_chart_has_to_build_its_specification() -> None:
    charts.warm_up()
    built = _specification.cache_info().misses
    for scheme in PALETTES:
        every_chart(scheme)
    assert _specification.cache_info().misses == built
