"""The plot, as SVG: a panel for each workload, a bar for each server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.servers import Peer
from benchmarks.workloads import Workload

BAR: Final = 16
GAP: Final = 6
TITLE: Final = 34
NAMES: Final = 170
LENGTH: Final = 230
NUMBERS: Final = 60
MOST: Final = 4.0
"""The longest bar, as a multiple of gmessenger's; longer ones are cut and have their number."""
OURS: Final = "gmessenger"

Cost = Callable[[str, str], float | None]


def plot(cost: Cost, peers: list[Peer], works: list[Workload]) -> str:
    """Return the SVG. `cost`: CPU seconds per million deliveries, by the names of workload and server."""
    panels = [(work, bars) for work in works if work.shape != "idle" and (bars := bars_of(cost, peers, work))]
    width, top = NAMES + LENGTH + NUMBERS, 0
    drawn: list[str] = []
    for left in range(0, len(panels), 2):
        pair = panels[left : left + 2]
        for column, (work, bars) in enumerate(pair):
            drawn += panel(work, bars, column * width, top)
        top += TITLE + max(len(bars) for _, bars in pair) * (BAR + GAP) + GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * width} {top}" font-family="sans-serif"'
    return "\n".join([f'{head} font-size="12">', '<rect width="100%" height="100%" fill="#fff"/>', *drawn, "</svg>\n"])


def bars_of(cost: Cost, peers: list[Peer], work: Workload) -> list[tuple[Peer, float]]:
    bars = [(peer, seconds) for peer in peers if (seconds := cost(work.name, peer.name)) is not None]
    return sorted(bars, key=lambda bar: bar[1])


def panel(work: Workload, bars: list[tuple[Peer, float]], x: int, y: int) -> Iterator[str]:
    ours = next((seconds for peer, seconds in bars if peer.name == OURS), bars[0][1])
    longest = min(bars[-1][1], MOST * ours) or 1.0
    yield f'<text x="{x + 10}" y="{y + 22}" font-weight="bold">{escape(work.title)}: CPU s per million</text>'
    for number, (peer, seconds) in enumerate(bars):
        top = y + TITLE + number * (BAR + GAP)
        length = max(1.0, min(seconds / longest, 1.0) * LENGTH)
        colour = "#c0392b" if peer.name == OURS else "#7f8c8d"
        yield f'<text x="{x + NAMES - 6}" y="{top + 12}" text-anchor="end">{escape(peer.title)}</text>'
        yield f'<rect x="{x + NAMES}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>'
        beyond = " …" if seconds > longest else ""
        yield f'<text x="{x + NAMES + length + 5:.1f}" y="{top + 12}">{seconds:.2f}{beyond}</text>'
