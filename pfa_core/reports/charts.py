"""Charts as SVG that keeps the size of its letters at any width.

Places along the width are per cent, those along the height pixels. Plan and forecast differ by form as well as by
colour: a hatched bar beside a full one, a line over columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from unicodedata import east_asian_width

from pfa_core.model.humanize import money
from pfa_core.reports.markup import Markup, shape
from pfa_core.reports.page import Chart, ChartKind
from pfa_core.reports.scale import Scale, scale_of

_LEGEND = 32
_AXIS = 30
_BAR, _ROW = 10, 50
_LONGEST_BAR = Decimal("0.8")  # its amount stands behind it
_LONGEST_NAME = 30  # cells; the table has the whole of it
_COLUMNS_HIGH = 220
_FILL = Decimal("0.72")  # of the place of a column
_APART = Decimal("0.1")  # between labels of years
_LAST = Decimal("0.91")  # behind it a label would be cut off
_MOST_MONTHS = 18  # with a label each


def drawing(chart: Chart, name: str) -> Markup:
    """Draw a chart.

    Args:
        name: Begins the ids of its parts; the page has it once.
    """
    scale = scale_of((*chart.values, *chart.reference_values), whole=not chart.is_money)
    if chart.kind is ChartKind.BARS:
        high = _LEGEND + _ROW * len(chart.labels) + _AXIS
        parts = _bars(chart, scale, name, high)
    else:
        high = _LEGEND + 14 + _COLUMNS_HIGH + _AXIS + 6
        parts = _columns(chart, scale, name)
    return shape(
        "svg",
        shape("title", chart.title, id=f"{name}-title"),
        shape("desc", _described(chart, scale), id=f"{name}-desc"),
        _hatch(name),
        *parts,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        width="100%",
        height=high,
        class_="chart",
    )


def _described(chart: Chart, scale: Scale) -> str:
    unit = _unit(chart, scale)
    return f"{chart.summary} The axis: {unit}." if unit else chart.summary


def _hatch(name: str) -> Markup:
    lines = shape("path", d="M0,6 L6,0 M-1,1 L1,-1 M5,7 L7,5", class_="hatch-line")
    ground = shape("rect", width=6, height=6, class_="hatch-ground")
    pattern = shape(
        "pattern",
        ground,
        lines,
        id=f"{name}-hatch",
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
    )
    return shape("defs", pattern)


def _percent(share: Decimal) -> str:
    return f"{share * 100:.3f}%"


def _bars(chart: Chart, scale: Scale, name: str, high: int) -> Iterator[Markup]:
    bottom = high - _AXIS
    yield from _legend(chart, scale, name, is_line=False)
    for place, tick in enumerate(scale.ticks):
        x = _percent(scale.share(tick) * _LONGEST_BAR)
        yield shape("line", x1=x, x2=x, y1=_LEGEND, y2=bottom, class_="grid")
        anchor = "middle" if place else "start"
        yield shape(
            "text", scale.label(tick), x=x, y=bottom + 15, text_anchor=anchor, class_="tick"
        )
    notes = chart.notes or ("",) * len(chart.labels)
    for number, (label, note) in enumerate(zip(chart.labels, notes, strict=True)):
        top = _LEGEND + _ROW * number
        yield shape("text", _short(label), x=0, y=top + 13, class_="name")
        if note:
            yield shape("text", note, x="100%", y=top + 13, text_anchor="end", class_="note")
        pair = (
            (chart.reference, chart.reference_values[number], f"url(#{name}-hatch)", "plan"),
            (chart.series, chart.values[number], None, "forecast"),
        )
        for line, (what, value, fill, look) in enumerate(pair):
            y = top + 18 + line * (_BAR + 2)
            width = scale.share(value) * _LONGEST_BAR
            yield shape(
                "rect",
                shape("title", f"{label}, {what}: {_exact(chart, value)}"),
                x=0, y=y, width=_percent(width), height=_BAR, fill=fill, class_=f"bar {look}",
            )  # fmt: skip
            amount = scale.amount(value)
            yield shape("text", amount, x=_percent(width), dx=5, y=y + 9, class_="amount")


def _columns(chart: Chart, scale: Scale, name: str) -> Iterator[Markup]:
    top, bottom, number = _LEGEND + 14, _LEGEND + 14 + _COLUMNS_HIGH, len(chart.labels)
    yield from _legend(chart, scale, name, is_line=True)
    heights = {tick: bottom - int(scale.share(tick) * _COLUMNS_HIGH) for tick in scale.ticks}
    for tick, y in heights.items():
        yield shape("line", x1=0, x2="100%", y1=y, y2=y, class_="grid" if tick else "base")
    place = Decimal(1) / number
    for index, (label, value) in enumerate(zip(chart.labels, chart.values, strict=True)):
        high = scale.share(value) * _COLUMNS_HIGH
        yield shape(
            "rect",
            shape("title", _both(chart, index)),
            x=_percent(place * (index + (1 - _FILL) / 2)),
            y=f"{bottom - high:.2f}",
            width=_percent(place * _FILL),
            height=f"{high:.2f}",
            class_="column forecast",
        )
        if label == chart.marked:
            x = _percent(place * index)
            yield shape("line", x1=x, x2=x, y1=top - 8, y2=bottom, class_="now")
            anchor = "end" if index * 2 > number else "start"
            dx = -4 if anchor == "end" else 4
            yield shape("text", "now", x=x, dx=dx, y=top - 1, text_anchor=anchor, class_="tick")
    yield _line(chart, scale, top)
    for tick, y in heights.items():
        if tick:
            yield shape("text", scale.label(tick), x=0, y=y - 4, class_="tick over-columns")
    yield from _periods(chart.labels, bottom)


def _line(chart: Chart, scale: Scale, top: int) -> Markup:
    """Draw the reference as a line of steps, in coordinates of its own."""
    points: list[str] = []
    for index, value in enumerate(chart.reference_values):
        y = f"{(1 - scale.share(value)) * _COLUMNS_HIGH:.2f}"
        points += [f"{index},{y}", f"{index + 1},{y}"]
    steps = shape(
        "polyline", points=" ".join(points), class_="plan-line", vector_effect="non-scaling-stroke"
    )
    return shape(
        "svg", steps, x=0, y=top, width="100%", height=_COLUMNS_HIGH,
        viewBox=f"0 0 {len(chart.labels)} {_COLUMNS_HIGH}", preserveAspectRatio="none",
        overflow="visible", aria_hidden="true",
    )  # fmt: skip


def _periods(labels: Sequence[str], bottom: int) -> Iterator[Markup]:
    """Label few months by their number, and years at their first month."""
    place = Decimal(1) / len(labels)
    by_month = all(len(label) == len("2026-03") for label in labels)
    if by_month and len(labels) <= _MOST_MONTHS:
        for index, label in enumerate(labels):
            x = _percent(place * index + place / 2)
            yield shape("text", label[5:], x=x, y=bottom + 14, text_anchor="middle", class_="tick")
    last = -_APART
    for index, label in enumerate(labels):
        at = place * index
        starts = not by_month or label.endswith("-01") or not index
        crowded = not index and any(
            each.endswith("-01") for each in labels[1 : int(_APART / place) + 1]
        )
        if starts and not crowded and at - last >= _APART and at <= _LAST:
            last = at
            x = _percent(at)
            yield shape("line", x1=x, x2=x, y1=bottom, y2=bottom + 5, class_="base")
            yield shape("text", label[:4], x=x, dx=2, y=bottom + 30, class_="tick")


def _legend(chart: Chart, scale: Scale, name: str, *, is_line: bool) -> Iterator[Markup]:
    if is_line:
        yield shape("line", x1=0, x2=16, y1=9, y2=9, class_="plan-line")
    else:
        yield shape(
            "rect", x=0, y=4, width=16, height=10, fill=f"url(#{name}-hatch)", class_="bar plan"
        )
    yield shape("text", chart.reference, x=22, y=13, class_="legend")
    x = 22 + 8 * len(chart.reference) + 18
    yield shape("rect", x=x, y=4, width=16, height=10, class_="bar forecast")
    yield shape("text", chart.series, x=x + 22, y=13, class_="legend")
    if unit := _unit(chart, scale):
        yield shape("text", unit, x="100%", y=13, text_anchor="end", class_="tick")


def _unit(chart: Chart, scale: Scale) -> str:
    """Name what the axis is in, such as `EUR, in millions`."""
    return ", ".join(part for part in (chart.unit, scale.name and f"in {scale.name}") if part)


def _both(chart: Chart, index: int) -> str:
    forecast, plan = chart.values[index], chart.reference_values[index]
    return (
        f"{chart.labels[index]}: {chart.series} {_exact(chart, forecast)},"
        f" {chart.reference} {_exact(chart, plan)}"
    )


def _exact(chart: Chart, value: Decimal) -> str:
    return money(value) if chart.is_money else f"{value:,}"


def _short(label: str) -> str:
    """Cut a name to the cells that it has; wide characters take two."""
    cells = 0
    for place, char in enumerate(label):
        cells += 2 if east_asian_width(char) in "WF" else 1
        if cells > _LONGEST_NAME:
            return f"{label[:place].rstrip()}…"
    return label
