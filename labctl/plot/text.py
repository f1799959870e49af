"""Plots for the command line: as rich text, in the characters and colours that a console has."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from labctl.plot.data import Series
from labctl.plot.figure import CURSOR, LABEL, TITLE, Figure, Options, draw
from labctl.plot.raster import Mode

_COLOURS = ("cyan", "magenta", "green", "blue", "yellow", "red")
"""Of the terminal's own sixteen: they are legible on the background that their owner chose."""
_STYLES = {LABEL: "", TITLE: "bold", CURSOR: "bold"}
_WITHOUT_BRAILLE = {"linux", "vt100", "vt220", "dumb"}
"""Terminals whose fonts have neither braille nor quadrants: consoles of a kernel and old machines."""


def mode_for(encoding: str, environment: Mapping[str, str]) -> Mode:
    """Return the finest mode that a terminal prints: braille needs UTF-8 and a font that has it."""
    is_utf8 = encoding.lower().replace("-", "") == "utf8"
    return Mode.BRAILLE if is_utf8 and environment.get("TERM") not in _WITHOUT_BRAILLE else Mode.ASCII


def plot_text(console: Console, series: Sequence[Series], height: int, how: Options, width: int | None = None) -> Text:
    """Return a plot as this console can show it: mode and colour of `how` are its own choice.

    Args:
        console: that it is printed on.
        series: of the plot.
        height: in lines, with title and x labels.
        how: its title and axes.
        width: None is that of the console.
    """
    colour = console.color_system is not None and not console.no_color
    how = replace(how, mode=mode_for(console.encoding, os.environ), colour=colour)
    return as_text(draw(series, width or console.width, height, how))


def as_text(figure: Figure) -> Text:
    """Return a figure as rich text, whose spaces at the ends of lines are left out."""
    text = Text(no_wrap=True, end="")
    for row in figure.rows:
        line = Text()
        for words, number in row:
            line.append(words, _STYLES[number] if number < 0 else _COLOURS[number % len(_COLOURS)])
        line.rstrip()
        text.append_text(line).append("\n")
    return text
