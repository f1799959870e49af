"""The two sides of a stack."""

from typing import Literal

Side = Literal["negative", "positive"]
SIDES: tuple[Side, Side] = ("negative", "positive")
