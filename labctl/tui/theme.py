"""Colours: a dark and a light theme of our own, and two of sixteen colours, which the terminal itself decides."""

from collections.abc import Mapping

from textual.theme import Theme

DARK = Theme(
    name="labctl-dark",
    primary="#7aa2f7",
    secondary="#7dcfff",
    accent="#e0c987",
    success="#8fd694",
    warning="#f0b45a",
    error="#ff6b81",
    foreground="#d5d9e5",
    background="#11131a",
    surface="#181b25",
    panel="#232735",
    dark=True,
)
LIGHT = Theme(
    name="labctl-light",
    primary="#1d4ed8",
    secondary="#0e7490",
    accent="#7c4a03",
    success="#15702f",
    warning="#a14b06",
    error="#c01633",
    foreground="#1c2030",
    background="#fbfbfd",
    surface="#f0f1f5",
    panel="#dfe2ea",
    dark=False,
)
THEMES = (DARK, LIGHT)
NAMES = (DARK.name, LIGHT.name, "ansi-dark", "ansi-light")
"""Themes that `t` goes through."""


def first_theme(environment: Mapping[str, str], *, no_color: bool) -> str:
    """Return the theme to begin with: without colours, or with sixteen, nothing is painted under the text."""
    terminal = environment.get("TERM", "")
    many = "COLORTERM" in environment or "256" in terminal or "direct" in terminal
    return DARK.name if many and not no_color else "ansi-dark"
