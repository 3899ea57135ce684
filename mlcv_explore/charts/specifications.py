"""What each kind of chart looks like, in Altair: layers of the parts of one table.

Each function is called once for a palette and its options (`chart.specification`).
Strings that start with "$" stand for titles and formats, filled in for each chart.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import altair as alt

from mlcv_explore.charts.chart import DATA, HOVER, LABEL_LINE, PUBLISHED
from mlcv_explore.charts.palette import Palette, Style

FONT = '"Source Sans", "Source Sans Pro", system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
ABOVE = dict(titleAngle=0, titleX=0, titleAlign="left", titleAnchor="start", titleBaseline="bottom")
FULL_HEIGHT = {"y": alt.YValue(0), "y2": alt.Y2Value("height")}
TEXT = alt.Text("text", type="nominal")


def curves(palette: Palette, clip: bool, marked: bool) -> alt.LayerChart:
    """Bands, means, single seeds, markers, rules with their names, labels."""
    styles = {**palette.roles, PUBLISHED: replace(palette.roles["other"], dash=(2, 3), filled=False)}
    value, mark, label = _part("value"), _part("mark"), _part("label")
    symbol, dash = _symbol(palette, styles, "stroke"), _by("StrokeDash", styles, "dash", "stroke")
    muted, ink = alt.ColorValue(palette.muted), alt.ColorValue(palette.text)
    point, thin = {"strokeWidth": 1.5, "opacity": 1}, {"strokeWidth": 0.8, "opacity": 0.45}
    words = {"align": "left", "baseline": "middle", "dx": 21, "lineBreak": "\n", "lineHeight": LABEL_LINE}
    numbers = {"x": "", "mean": "$y_format", "low": "$y_format", "high": "$y_format", "n": ""}
    seeds = [alt.Detail("line:N"), alt.Detail("seed:N")]
    hover = value.mark_point(size=180, opacity=0, clip=clip)
    layers = [
        *_bands(styles, "stroke", clip),
        _part("seed").mark_line(**thin, clip=clip).encode(detail=seeds, strokeDash=dash),
        value.transform_filter("datum.marker").mark_point(**point, size=46, clip=clip).encode(**symbol),
        mark.mark_rule(strokeDash=[2, 2]).encode(**FULL_HEIGHT, color=muted),
        mark.mark_text(baseline="bottom", dy=-4).encode(y=alt.YValue(0), text=TEXT, color=muted),
        label.mark_point(**point, size=60, xOffset=12).encode(**symbol),
        label.mark_text(**words).encode(text=TEXT, color=ink),
        hover.encode(tooltip=_tooltip(["line"], numbers)).properties(name=HOVER),
    ]
    x = _axis("x", "x", title="$x_title", tickCount=6)
    y = _axis("y", "mean", title="$y_title", format="$y_format", **ABOVE, titleY=-24 if marked else -8)
    return _layered(palette, layers, x, y)


def thumbnail(palette: Palette) -> alt.LayerChart:
    """Bands and means without axes."""
    layers = _bands(palette.roles, "role", clip=False)
    return _layered(palette, layers, _axis("x", "x"), _axis("y", "mean"))


def cone(palette: Palette) -> alt.LayerChart:
    """Two bands, the median, the curve before and after the stop, names at the edge."""
    idea, oracle, ink = palette.roles["idea"], palette.roles["oracle"], alt.ColorValue(palette.text)
    fan = {"y": alt.Y("low:Q"), "y2": alt.Y2("high")}
    shown = {"tooltip": _tooltip(["line"], {"x": ".4g", "y": ".4g"})}
    layers = [
        _part("wide").mark_area(clip=True, opacity=0.16).encode(**fan),
        _part("narrow").mark_area(clip=True, opacity=0.24).encode(**fan),
        _part("middle").mark_line(clip=True, strokeWidth=idea.width),
        _part("seed").mark_line(clip=True, strokeWidth=2.5, strokeDash=list(oracle.dash)).encode(**shown),
        _part("value").mark_line(clip=True, strokeWidth=3).encode(color=ink, **shown),
        _part("stop").mark_rule(strokeWidth=1.5).encode(**FULL_HEIGHT, color=alt.ColorValue(palette.muted)),
        _part("stop").mark_point(filled=True, size=110, opacity=1).encode(color=ink),
        *_words(palette, _part("label"), align="right", dx=-4),
    ]
    x, y = _axis("x", "x", title="$x_title"), _axis("y", "y", title="$y_title", **ABOVE, titleY=-8)
    return _layered(palette, layers, x, y)


def points(palette: Palette, glyphs: bool) -> alt.LayerChart:
    """Points without a group, those with one, the trail, markers, names."""
    value, seed, here = _part("value"), _part("seed"), _part("here")
    symbol, ink, paper = _symbol(palette, palette.roles), palette.text, alt.ColorValue(palette.background)
    neutral, grouped = value.transform_filter("!datum.role"), value.transform_filter("datum.role")
    if glyphs:
        glyph = alt.Text("label:N")
        neutral = neutral.mark_text(baseline="middle", fontSize=10, opacity=0.5).encode(text=glyph)
        grouped = grouped.mark_text(baseline="middle", fontSize=13, fontWeight="bold").encode(text=glyph)
    else:
        neutral = neutral.mark_point(filled=True, shape="circle", size=12, opacity=0.5)
        grouped = grouped.mark_point(size=36, strokeWidth=1.2, opacity=0.9).encode(**symbol)
    beside = {"align": alt.expr("datum.side"), "dx": alt.expr("datum.side === 'left' ? 13 : -13")}
    shown = alt.Chart().transform_filter(alt.FieldOneOfPredicate("part", ["value", "seed", "here"]))
    hover = shown.mark_point(size=120, opacity=0)
    layers = [
        neutral.encode(color=alt.ColorValue(palette.muted)),
        grouped,
        *_words(palette, _part("name"), ink, fontWeight="bold"),
        seed.mark_line(strokeWidth=2, opacity=0.9).encode(order=alt.Order("step:Q")),
        seed.mark_point(filled=True, shape="circle", size=14, opacity=1),
        here.mark_point(size=190, strokeWidth=5, opacity=1).encode(shape=symbol["shape"], color=paper),
        here.mark_point(size=190, strokeWidth=2, opacity=1).encode(**symbol),
        *_words(palette, _part("label"), ink, fontWeight="bold", **beside),
        hover.encode(tooltip=_tooltip(["label"], {"step": ""})).properties(name=HOVER),
    ]
    return _layered(palette, layers, _axis("x", "x"), _axis("y", "y"))


def shares(palette: Palette) -> alt.LayerChart:
    """A bar for each class and series, with its number; names at the left."""
    value, shown = _part("value"), _tooltip(["name", "series"], {"share": ".3f"})
    words = {"y": alt.Y("at:Q"), "text": TEXT, "color": alt.ColorValue(palette.text)}
    bar, number = value.mark_rect(cornerRadius=1), value.mark_text(align="left", dx=5, fontSize=12)
    layers = [
        bar.encode(x2=alt.X2("share"), y2=alt.Y2("bottom"), tooltip=shown),
        number.encode(x=alt.X("share:Q"), **words),
        _part("class").mark_text(align="right", dx=-6).encode(**words),
    ]
    return _layered(palette, layers, _axis("x", "x"), _axis("y", "top", reverse=True))


def differences(palette: Palette, reserved: int, beside: int = 0) -> alt.LayerChart:
    """Margins, zero line, intervals with their dots, single seeds."""
    value, symbol = _part("value"), _symbol(palette, palette.roles)
    muted, ink, border = map(alt.ColorValue, (palette.muted, palette.text, palette.border))
    block = {"y": alt.Y("top:Q"), "y2": alt.Y2("bottom")}
    names, numbers = ["name", "unit", "status"], ("mean", "low", "high", "margin", "n")
    dot = {**symbol, "tooltip": _tooltip(names, dict.fromkeys(numbers, ".4g"))}
    zero = _part("zero").mark_rule(strokeWidth=1.5)
    layers = [
        _part("shade").mark_rect(opacity=0.16).encode(**block, x2=alt.X2("x_high"), color=muted),
        _part("separator").mark_rule().encode(x=alt.XValue(0), x2=alt.X2Value("width"), color=border),
        _part("origin").mark_rule(strokeWidth=1.5).encode(**FULL_HEIGHT, color=border),
        zero.encode(**block, color=ink),
        value.mark_rule(strokeWidth=3, strokeCap="round").encode(x=alt.X("x_low:Q"), x2=alt.X2("x_high")),
        value.mark_point(size=90, strokeWidth=2, opacity=1).encode(**dot),
        _part("seed").mark_point(filled=True, size=22, opacity=0.55),
        _part("tick")
        .mark_text(baseline="middle", fontSize=12)
        .encode(y=alt.Y("text_at:Q"), text=TEXT, color=muted),
    ]
    return _named_rows(palette, layers, reserved, beside, grid=True, gridOpacity=0.4)


def bars(palette: Palette, reserved: int) -> alt.LayerChart:
    """Bars from zero with whiskers."""
    whisker = {"x": alt.X("x_low:Q"), "x2": alt.X2("x_high"), "color": alt.ColorValue(palette.text)}
    block = {"y": alt.Y("top:Q"), "y2": alt.Y2("bottom"), "x2": alt.X2("x_high")}
    layers = [
        _part("bar").mark_rect(opacity=0.85).encode(**block),
        _part("value").mark_rule(strokeWidth=2.5).encode(**whisker),
    ]
    return _named_rows(palette, layers, reserved, format="$x_format")


def _named_rows(
    palette: Palette, layers: list, reserved: int, beside: int = 0, **axis: Any
) -> alt.LayerChart:
    """Rows with names at the left and numbers at the right, or under the names where
    nothing is reserved; the scale ends `beside` pixels before the right edge.
    """
    y = alt.Y("text_at:Q")
    name, number = _part("label").encode(x=alt.XValue(0), y=y), _part("value").encode(y=y)
    number = number.encode(x=alt.XValue("width" if reserved else 0))
    align, limit = "right" if reserved else "left", alt.expr(f"width - {reserved}")
    layers = [
        *layers,
        *_words(
            palette, name, palette.text, align="left", limit=limit, lineBreak="\n", lineHeight=LABEL_LINE
        ),
        *_words(palette, number, palette.muted, align=align),
    ]
    x, y = (
        _axis("x", "x", beside=beside, title="$x_title", tickCount=6, **axis),
        _axis("y", "at", reverse=True),
    )
    return _layered(palette, layers, x, y)


def histograms(palette: Palette) -> alt.LayerChart:
    """Bars with whiskers over a line for each panel, its name and its highest share."""
    value, middle = _part("value"), "(datum.start + datum.end) / 2"
    muted, ink, border = map(alt.ColorValue, (palette.muted, palette.text, palette.border))
    label = _part("label").mark_text(align="left", baseline="middle")
    shown = _tooltip(["group"], {"start": ".3g", "end": ".3g", "share": ".1%", "n": "d"})
    bar = {"x2": alt.X2("end"), "y2": alt.Y2("y2"), "tooltip": shown}
    whisker = {"x": alt.X("middle:Q"), "y": alt.Y("y_low:Q"), "y2": alt.Y2("y_high"), "color": ink}
    layers = [
        value.mark_rect(stroke=palette.background, strokeWidth=1).encode(**bar),
        value.transform_calculate(middle=middle).mark_rule(strokeWidth=1, opacity=0.7).encode(**whisker),
        _part("base").mark_rule().encode(x=alt.XValue(0), x2=alt.X2Value("width"), color=border),
        label.encode(x=alt.XValue(0), text=TEXT, color=ink),
        _part("mark").mark_text(baseline="bottom", dy=-3, fontSize=12).encode(text=TEXT, color=muted),
    ]
    x = _axis("x", "start", title="$x_title", tickCount=6)
    return _layered(palette, layers, x, _axis("y", "y", reverse=True))


def heat_map(palette: Palette, signed: bool) -> alt.LayerChart:
    """Coloured cells, hatched where not significant, with their numbers."""
    value, cell = _part("value"), "width / max(1, length(domain('x')))"
    fits = alt.expr(f"min(14, {cell} / 3.6)")  # six characters
    text = {"baseline": "middle", "fontSize": fits, "opacity": alt.expr(f"{cell} < 27 ? 0 : 1")}
    stops = palette.signed_stops if signed else palette.amounts
    scale = alt.Scale(domain=["$domain"], range=list(stops), clamp=True, interpolate="rgb")
    legend = alt.Legend(
        title="$value_title", format="$value_format", values=["$values"],
        orient="top", gradientLength=180, gradientThickness=10,
    )  # fmt: skip
    halo = value.transform_filter("!datum.significant").mark_text(strokeWidth=5, strokeJoin="round", **text)
    hatch, own = alt.ColorValue(_stripes(palette.text)), alt.Stroke("fill", type="nominal", scale=None)
    ink = alt.Fill("ink", type="nominal", scale=None)
    colour = alt.Color("value", type="quantitative", scale=scale, legend=legend)
    shown = _tooltip(["row", "column", "text", "significant"], {})
    layers = [
        value.mark_rect(stroke=palette.border, strokeWidth=1).encode(color=colour, tooltip=shown),
        _part("hatch").mark_rect(opacity=0.45).encode(color=hatch),
        halo.encode(text=TEXT, stroke=own),  # the stripes leave room for the number
        value.mark_text(**text).encode(text=TEXT, fill=ink),
    ]
    x, y = _cells(alt.X, "column", orient="bottom", labelAngle=0), _cells(alt.Y, "row")
    labels = [alt.param(name=f"{side}_labels", value=[f"${side}_labels"]) for side in ("row", "column")]
    return _layered(palette, layers, x, y, roles=False).properties(params=[label.param for label in labels])


def _cells(channel: Any, side: str, **axis: Any) -> alt.X | alt.Y:
    """Places 0, 1, … with labels of one or more lines."""
    bare = dict.fromkeys(("grid", "ticks", "domain"), False)
    label = f"split({side}_labels[datum.value], '\\n')"
    axis = alt.Axis(title=f"${side}_title", labelExpr=label, **bare, **axis)
    return channel({"row": "y", "column": "x"}[side], type="ordinal", axis=axis)


def _layered(palette: Palette, layers: list, x: alt.X, y: alt.Y, roles: bool = True) -> alt.LayerChart:
    """Layers over shared encodings, coloured by role where there are roles, themed."""
    colour = _by("Color", palette.roles, "colour") if roles else alt.Undefined
    titles = {"titleColor": palette.text, "titleFontSize": 14, "titleFontWeight": "normal"}
    labels = {"labelColor": palette.muted, "labelFontSize": 13}
    lines = dict.fromkeys(("domainColor", "tickColor", "gridColor"), palette.border)
    config = alt.Config(
        font=FONT,
        aria=False,  # one description, not a label for each mark
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(**titles, **labels, **lines, gridOpacity=0.55, labelFlush=False),
        axisX=alt.AxisConfig(grid=False, titlePadding=6),
        axisY=alt.AxisConfig(domain=False, ticks=False, labelPadding=6, tickCount=5),
        text=alt.MarkConfig(color=palette.text, fontSize=14),
        legend=alt.LegendConfig(**titles, **labels),
    )
    return alt.LayerChart(
        data=alt.NamedData(DATA),
        layer=layers,
        encoding=alt.SharedEncoding(x=x, y=y, color=colour),
        background="transparent",
        padding={"left": 2, "right": 6, "top": 4, "bottom": 2},  # Streamlit would add 20 pixels
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        config=config,
    )


def _part(name: str) -> alt.Chart:
    """A layer of the rows of one part."""
    return alt.Chart().transform_filter(alt.FieldEqualPredicate(field="part", equal=name))


def _axis(channel: str, field: str, *, reverse: bool = False, beside: int = 0, **axis: Any) -> alt.X | alt.Y:
    """A column on a linear scale within the table's "x_end" or "y_end" (`chart.ends`),
    to `beside` pixels before the right edge.

    The limits are data, for a scale that Vega fits to the layers logs "Infinite extent"
    for every layer without numbers, and for all of them before the data arrive.
    """
    limits = alt.ExprRef(f"extent(pluck(data('{DATA}'), '{channel}_end'))")
    span = {"range": [0, alt.ExprRef(f"width - {beside}")]} if beside else {}
    scale = alt.Scale(domain=limits, nice=False, zero=False, reverse=reverse, **span)
    kind = {"x": alt.X, "y": alt.Y}[channel]
    return kind(field, type="quantitative", scale=scale, axis=alt.Axis(**axis) if axis else None)


def _by(channel: str, styles: Mapping[str, Style], name: str, field: str = "role") -> Any:
    """A channel by a property of the style that a column names, without legend."""
    scale = alt.Scale(domain=list(styles), range=[getattr(style, name) for style in styles.values()])
    return getattr(alt, channel)(field, type="nominal", scale=scale, legend=None)


def _symbol(palette: Palette, styles: Mapping[str, Style], field: str = "role") -> dict[str, Any]:
    """Shape and fill of a point."""
    paper = replace(palette.roles["baseline"], colour=palette.background)
    fills = {role: style if style.filled else paper for role, style in styles.items()}
    return {"shape": _by("Shape", styles, "marker", field), "fill": _by("Fill", fills, "colour", field)}


def _bands(styles: Mapping[str, Style], field: str, clip: bool) -> list[alt.Chart]:
    """Bands under means."""
    value, line, dash = _part("value"), alt.Detail("line:N"), _by("StrokeDash", styles, "dash", field)
    wide, usual = (alt.value(styles[role].width) for role in ("idea", "baseline"))
    width = alt.when("datum.role === 'idea'").then(wide).otherwise(usual)
    return [
        value.mark_area(opacity=0.2, clip=clip).encode(y=alt.Y("low:Q"), y2=alt.Y2("high"), detail=line),
        value.mark_line(clip=clip).encode(detail=line, strokeDash=dash, strokeWidth=width),
    ]


def _words(palette: Palette, layer: alt.Chart, ink: str = "", **mark: Any) -> list[alt.Chart]:
    """Texts on an outline of background colour, which keeps lines out of them."""
    layer, outline = layer.encode(text=TEXT), {"stroke": palette.background, "strokeWidth": 5}
    words = layer.mark_text(baseline="middle", **mark)
    outlined = layer.mark_text(baseline="middle", **outline, strokeJoin="round", **mark)
    return [outlined, words.encode(color=alt.ColorValue(ink)) if ink else words]


def _tooltip(names: list[str], numbers: Mapping[str, str]) -> list[alt.Tooltip]:
    """Columns of a tooltip: names, then numbers with their formats."""
    words = [alt.Tooltip(name, type="nominal") for name in names]
    return words + [alt.Tooltip(name, type="quantitative", format=form) for name, form in numbers.items()]


def _stripes(ink: str, count: int = 6, thick: float = 0.02) -> alt.Gradient:
    """Diagonals from edge to edge of a cell."""
    steps = ((-thick, f"{ink}00"), (0, ink), (thick, f"{ink}00"))
    middles = [line / count for line in range(1, count)]
    stops = [alt.GradientStop(colour, middle + off) for middle in middles for off, colour in steps]
    return alt.Gradient(gradient="linear", stops=stops, x1=0, y1=0, x2=1, y2=1)
