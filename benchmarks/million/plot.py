"""A line plot as SVG text: sizes on a logarithmic axis, milliseconds on a linear one from nought."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 460
LEFT, RIGHT, TOP, BOTTOM = 60, 310, 50, 50  # margins in pixels; the names stand on the right
APART = 17  # pixels between two names
# Distinguishable without seeing every colour (Okabe and Ito), and by their order at the right.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f7f7f")
COLOURS += ("#8c510a",)


@dataclass(frozen=True)
class Curve:
    """A name and its points: (records, milliseconds), records ascending."""

    name: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Scale:
    """Where a size and a time stand, in pixels from the upper left corner."""

    least: int
    most: int
    top: float

    def x(self, size: int) -> float:
        part = math.log(size / self.least) / math.log(self.most / self.least)
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def y(self, milliseconds: float) -> float:
        return HEIGHT - BOTTOM - milliseconds / self.top * (HEIGHT - TOP - BOTTOM)


def drawn(title: str, curves: list[Curve]) -> str:
    """The whole file; at least one curve, and two different sizes."""
    sizes = sorted({size for curve in curves for size, _ in curve.points})
    step, top = _ticks(max(value for curve in curves for _, value in curve.points))
    scale = Scale(sizes[0], sizes[-1], top)
    body = [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 28, title, size=16),
        *_axes(scale, sizes, step),
        *_curves(scale, curves),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
    font = ' font-family="sans-serif"'
    return "\n".join([f"{head}{font}>", f"<title>{escape(title)}</title>", *body, "</svg>", ""])


def _axes(scale: Scale, sizes: list[int], step: float) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for number in range(round(scale.top / step) + 1):
        y = scale.y(number * step)
        yield _line(LEFT, y, right, y, "#dddddd")
        yield _text(LEFT - 8, y + 4, f"{number * step:g}", anchor="end")
    for size in sizes:
        x = scale.x(size)
        yield _line(x, TOP, x, bottom, "#dddddd")
        yield _text(x, bottom + 18, f"{size:,}", anchor="middle")
    yield _text((LEFT + right) / 2, HEIGHT - 10, "records (logarithmic)", anchor="middle")
    yield _text(LEFT - 8, TOP - 8, "ms", anchor="end")


def _curves(scale: Scale, curves: list[Curve]) -> Iterator[str]:
    """Each curve with its dots; the names from the highest end to the lowest, none over another."""
    ordered = sorted(curves, key=lambda curve: -curve.points[-1][1])
    ends = _spread([scale.y(curve.points[-1][1]) for curve in ordered])
    for number, (curve, end) in enumerate(zip(ordered, ends, strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        places = [(scale.x(size), scale.y(value)) for size, value in curve.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y in places:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
        x, y = places[-1]
        yield _line(x + 5, y, x + 18, end, colour)
        label = f"{curve.name}, {curve.points[-1][1]:.1f} ms"
        yield _text(x + 22, end + 4, label, colour=colour)


def _spread(heights: list[float]) -> list[float]:
    """Heights that ascend, moved so that neighbours are `APART` and the last is inside the plot."""
    lowest = HEIGHT - BOTTOM
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + APART) if moved else height)
    limit = float(lowest)
    for number in reversed(range(len(moved))):
        moved[number] = min(moved[number], limit)
        limit = moved[number] - APART
    return moved


def _ticks(highest: float) -> tuple[float, float]:
    """A round step of the axis and its upper end, a whole number of steps: four to ten of them."""
    power = 10.0 ** math.floor(math.log10(highest / 4))
    step = next(power * part for part in (5, 2, 1) if power * part * 4 <= highest)
    return step, step * math.ceil(highest / step)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}"/>'


def _text(
    x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", colour: str = "#333333"
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}>{escape(text)}</text>"
