"""The plot of growth, as SVG: a panel for each curve, both axes logarithmic, a line for each figure."""

from __future__ import annotations

from collections.abc import Iterator
from math import log10
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 460
HEIGHT: Final = 240
LEFT: Final = 60
TOP: Final = 34
LEGEND: Final = 16
"""The height of a line of the legend, below a panel."""
AXIS: Final = 34
COLOURS: Final = ("#c0392b", "#2980b9", "#27ae60", "#8e44ad", "#d35400", "#16a085", "#7f8c8d", "#2c3e50", "#f39c12")
SMALLEST: Final = 1e-4
"""The lower bound of plotted values: zero cannot be shown on a logarithmic axis."""

Panel = tuple[str, str, dict[int, dict[str, float]]]
"""Title, name of the sizes, and the figures of each size."""


def plot(panels: list[Panel]) -> str:
    """Return the SVG, two panels in a row."""
    top = 0.0
    drawn: list[str] = []
    for first in range(0, len(panels), 2):
        pair = panels[first : first + 2]
        for column, panel in enumerate(pair):
            drawn += draw(panel, column * (LEFT + WIDTH + 20), top)
        top += TOP + HEIGHT + AXIS + LEGEND * max(len(figures(panel)) for panel in pair) + 10
    size = f'viewBox="0 0 {2 * (LEFT + WIDTH + 20)} {top:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *drawn, "</svg>\n"])


def figures(panel: Panel) -> list[str]:
    return list(next(iter(panel[2].values())))


def draw(panel: Panel, x: float, y: float) -> Iterator[str]:
    """Yield the elements of a panel whose corner is at `x`, `y`."""
    title, size_name, points = panel
    sizes = [log10(size) for size in points]
    values = [log10(max(value, SMALLEST)) for point in points.values() for value in point.values()]
    low, high = min(values), max(values) + 0.01
    span = max(sizes[-1] - sizes[0], 0.01)
    left, bottom = x + LEFT, y + TOP + HEIGHT

    def place(size: float, value: float) -> str:
        across = left + (size - sizes[0]) / span * (WIDTH - 40)
        return f"{across:.1f},{bottom - (value - low) / (high - low) * (HEIGHT - 10):.1f}"

    yield f'<text x="{left}" y="{y + 22}" font-weight="bold">{escape(title)}</text>'
    yield f'<path d="M{left},{y + TOP}V{bottom}H{left + WIDTH - 20}" fill="none" stroke="#333"/>'
    yield f'<text x="{left - 6}" y="{bottom}" text-anchor="end">{10**low:.3g}</text>'
    yield f'<text x="{left - 6}" y="{y + TOP + 10}" text-anchor="end">{10**high:.3g}</text>'
    for size, position in zip(points, sizes, strict=True):
        across = place(position, low).partition(",")[0]
        yield f'<text x="{across}" y="{bottom + 16}" text-anchor="middle">{size:,}</text>'
    yield f'<text x="{left + WIDTH - 20}" y="{bottom + 30}" text-anchor="end">{escape(size_name)}</text>'
    for number, figure in enumerate(figures(panel)):
        colour = COLOURS[number % len(COLOURS)]
        line = [place(log10(size), log10(max(point[figure], SMALLEST))) for size, point in points.items()]
        yield f'<polyline points="{" ".join(line)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        across, below = left, bottom + AXIS + LEGEND * (number + 0.6)
        yield f'<rect x="{across}" y="{below - 9:.0f}" width="10" height="10" fill="{colour}"/>'
        yield f'<text x="{across + 16}" y="{below:.0f}">{escape(figure)}</text>'
