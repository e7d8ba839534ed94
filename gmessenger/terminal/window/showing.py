"""Shows what is being written in the same cells as what is said: see `graphemes`. What is written stays as it is."""

from __future__ import annotations

from bisect import bisect_right

from prompt_toolkit.formatted_text import StyleAndTextTuples, fragment_list_to_text
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments
from wcwidth import iter_graphemes

from gmessenger.terminal.window.graphemes import clusters
from gmessenger.terminal_text import visible


class Showing(Processor):
    """For one line of a buffer. The cursor stands where its cluster begins."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Nothing is done to plain text."""
        fragments = transformation_input.fragments
        text = fragment_list_to_text(fragments)
        if text.isascii() and text.isprintable():
            return Transformation(fragments)
        shown, starts = _shown(explode_text_fragments(fragments), text)
        return Transformation(
            shown,
            source_to_display=lambda place: starts[min(place, len(starts) - 1)],
            display_to_source=lambda place: max(bisect_right(starts, place) - 1, 0),
        )


def _shown(fragments: StyleAndTextTuples, text: str) -> tuple[StyleAndTextTuples, list[int]]:
    """What is shown, and for each place in the text, its end included, where that is."""
    shown: StyleAndTextTuples = []
    starts: list[int] = []
    place = 0
    for grapheme in iter_graphemes(text):
        instead = "".join(part for part, columns in clusters(visible(grapheme)))
        starts += [place] * len(grapheme)
        shown.append((fragments[len(starts) - 1][0], instead))
        place += len(instead)
    return shown, [*starts, place]
