"""A figure of matplotlib as SVG text that takes its colours, light or dark, from the page.

Artists are drawn in the stand-in colours below, and each is replaced by the page's CSS variable.
A point that has a text shows it when a pointer rests on it, without a script.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# No page uses these values, so none of them is replaced by mistake.
INK, DIM, LINE, GOOD, BAD = "#010101", "#010102", "#010103", "#010104", "#010105"
SERIES = tuple(f"#0102{place:02x}" for place in range(8))
VARIABLES: Mapping[str, str] = {
    INK: "--ink",
    DIM: "--dim",
    LINE: "--line",
    GOOD: "--good",
    BAD: "--bad",
    **{colour: f"--c{place}" for place, colour in enumerate(SERIES)},
}

WIDTH, HEIGHT = 5.6, 3.5  # inches of 72 points: it stays readable on a telephone

STYLE: Mapping[Any, object] = {
    "svg.fonttype": "none",  # text stays text: the page's own font, and to be searched
    "svg.hashsalt": "nbest",  # else the names of the parts are random
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": DIM,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": DIM,
    "ytick.color": DIM,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
}


@contextmanager
def new_figure(height: float = HEIGHT) -> Iterator[tuple[Figure, Axes]]:
    """Make a figure with one panel in the report's style; it is drawn on inside the block."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(dict(STYLE)):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure, figure.subplots()


PAGE_COLOURS = {  # of the report's style sheet, for a file that stands alone
    "light": {
        "--bg": "#ffffff",
        "--ink": "#1c2128",
        "--dim": "#5b6672",
        "--line": "#dfe3e8",
        "--c0": "#2457d6",
    },
    "dark": {
        "--bg": "#0d1117",
        "--ink": "#e4e9ef",
        "--dim": "#97a1ad",
        "--line": "#2b323c",
        "--c0": "#7da8ff",
    },
}


def standalone_svg(figure: Figure, label: str) -> str:
    """Write the figure as a file of its own, which follows the colours of the page around it.

    It may use the colours INK, DIM, LINE and the first of SERIES.
    """
    light, dark = (
        "".join(f"{name}: {colour}; " for name, colour in colours.items())
        for colours in PAGE_COLOURS.values()
    )
    style = (
        f"<style>:root {{ {light}font-family: system-ui, sans-serif; background: var(--bg); }} "
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}</style>"
    )
    start, end, rest = svg_text(figure, label).partition(">")
    return f"{start} {end}{style}{rest}"


def svg_text(figure: Figure, label: str, hovers: Mapping[str, str] | None = None) -> str:
    """Write the figure as SVG; `label` tells screen readers what it shows.

    `hovers` has by the gid of an artist the text that a pointer on it shows.
    """
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context(dict(STYLE)):
        figure.savefig(
            out, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    _, _, inner = out.getvalue().partition("<svg")  # what is before it is for a file of its own
    for colour, variable in VARIABLES.items():
        inner = inner.replace(colour, f"var({variable})")
    inner = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", inner)
    for gid, text in (hovers or {}).items():
        inner = inner.replace(f'<g id="{gid}">', f'<g id="{gid}"><title>{escape(text)}</title>')
    return f'<svg role="img" aria-label="{escape(label)}"{inner}'
