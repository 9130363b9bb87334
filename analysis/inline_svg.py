"""A figure as an element of the page: it follows the page's colours, and its marks answer the reader.

In: a Drawing. Out: its SVG with names of its own, a text for those who cannot see it, and a text for every mark.
"""

import re

from markupsafe import Markup, escape

from analysis.figure_style import BLUE, FAINT, GREEN, INK, MUTED, PAPER, VERMILLION, Drawing

# Colours that the page sets itself, so that a figure stays legible on a dark one.
PAGE_COLOURS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    FAINT: "var(--faint)",
    PAPER: "var(--paper)",
    BLUE: "var(--blue)",
    GREEN: "var(--green)",
    VERMILLION: "var(--vermillion)",
}


MARK = re.compile(r'<g id="mark-(\d+)">')


def inline_svg(drawing: Drawing) -> Markup:
    """The SVG of a drawing without its head. The Tab key stops once, at the first mark; arrow keys go on from there."""
    svg = drawing.svg[drawing.svg.index("<svg") :]
    svg = MARK.sub(lambda found: _mark(int(found[1]), drawing.marks[int(found[1])]), svg)
    svg = re.sub(r'\bid="', f'id="{drawing.stem}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{drawing.stem}-", svg)
    for colour, variable in PAGE_COLOURS.items():
        svg = svg.replace(colour, variable)
    # A picture has no parts for a screen reader; a group has, and its marks are read one by one.
    role = 'role="group" class="marked"' if drawing.marks else 'role="img"'
    return Markup(svg.replace("<svg ", f'<svg {role} aria-label="{escape(drawing.alt)}" ', 1))


def _mark(i: int, text: str) -> str:
    return f'<g id="mark-{i}" class="mark" role="img" tabindex="{-1 if i else 0}" aria-label="{escape(text)}">'
