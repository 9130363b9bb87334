"""How every figure looks: one paper column wide, 7-point text, Okabe-Ito colours, no box, text as outlines.

A `plot_` function draws on a figure of `new_figure` and returns it; `draw` runs one under this style and gives its PNG and SVG.
Every colour has one exact code, so the report can replace it in the SVG and follow the reader's light or dark page; what
`mark` was called on says its text there on hover, touch and focus.
"""

import io
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLUMN_IN = 3.5  # width of one column of a two-column page
HEADING_IN = 0.36
INK, MUTED, FAINT, PAPER = "#1b1f23", "#666d75", "#c9ced3", "#fffffe"
# Okabe and Ito (2008): told apart with every common colour blindness. Yellow is left out: too pale for lines.
BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7"
CYCLE = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)
SMALL_PT, TEXT_PT, TITLE_PT = 6.5, 7.0, 8.0

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": TEXT_PT,
    "axes.titlesize": TITLE_PT,
    "axes.titlelocation": "left",
    "axes.labelsize": TEXT_PT,
    "xtick.labelsize": TEXT_PT,
    "ytick.labelsize": TEXT_PT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.formatter.useoffset": False,
    "lines.linewidth": 1.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
    "svg.fonttype": "path",  # a page that travels cannot count on the reader's fonts
    "svg.hashsalt": "foresight",  # the same numbers give the same file
}


@dataclass(frozen=True)
class Drawing:
    """One figure as it is stored: `stem` names the files, `alt` says what it shows to those who cannot see it.

    `marks[i]` is the text of the element of the SVG with the id `mark-i`.
    """

    stem: str
    caption: str
    alt: str
    png: bytes
    svg: str
    marks: tuple[str, ...] = ()


class HouseFigure(Figure):
    """A figure that keeps the texts of its marks, in the order in which they were drawn."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.marks: list[str] = []


def mark(artist: Artist, text: str) -> None:
    """Gives a drawn point its text: what it is, on how many seeds it stands, and the keys of its trials."""
    figure = artist.get_figure(root=True)
    assert isinstance(figure, HouseFigure), "marks need a figure of new_figure"
    artist.set_gid(f"mark-{len(figure.marks)}")
    figure.marks.append(text)


def draw(stem: str, caption: str, alt: str, plot: Callable[..., Figure], *args: Any) -> Drawing:
    """Runs `plot(*args)` under the house style and stores the figure as PNG and SVG."""
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        figure = plot(*args)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once: both files then have the same places, labels included
        png, svg = io.BytesIO(), io.StringIO()
        figure.savefig(png, format="png", dpi=250)
        # Without these entries the file holds neither a date nor an address on the web.
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    marks = tuple(figure.marks) if isinstance(figure, HouseFigure) else ()
    return Drawing(stem, caption, alt, png.getvalue(), svg.getvalue(), marks)


def new_figure(height_in: float) -> HouseFigure:
    """An empty figure, one column wide, that finds room for its own labels."""
    figure = HouseFigure(figsize=(COLUMN_IN, height_in), layout="constrained")
    FigureCanvasAgg(figure)  # measures text before anything is saved
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, hspace=0.04, wspace=0.04)  # type: ignore[union-attr, call-arg]
    return figure


def heading(figure: Figure, text: str, basis: str) -> None:
    """What the figure shows, in bold, and under it on how many seeds and images it stands."""
    height_in = figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - HEADING_IN / height_in))  # type: ignore[union-attr, call-arg]
    figure.text(0.012, 1 - 0.03 / height_in, text, va="top", fontsize=TITLE_PT, fontweight="bold")
    figure.text(0.012, 1 - 0.19 / height_in, basis, va="top", fontsize=SMALL_PT, color=MUTED)


def break_words(text: str, longest: int) -> str:
    """A long level on several lines of at most `longest` characters, broken after underscores and at blanks."""
    if len(text) <= longest:
        return text
    return textwrap.fill(text.replace("_", "_ "), longest, break_long_words=False).replace("_ ", "_")
