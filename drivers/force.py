"""What load cells have in common: units of force, the sign of compression, and what is no force to go on with."""

from typing import Literal

from labctl.errors import GarbledReply, InstrumentRefused, OverRange

POUND = 4.4482216152605
KILOGRAM = 9.80665
"""Newtons of one pound-force and one kilogram-force: exact by definition of pound and standard gravity."""

ZERO_TOLERANCE = 1e-3
"""Of the capacity. A tare that leaves more than that has not worked."""

UnitOfForce = Literal["N", "kN", "kgf", "gf", "lbf", "ozf"]
"""As config.toml writes the unit of an instrument that does not tell its own, or whose word is to be checked."""
NEWTON: dict[UnitOfForce, float] = {
    "N": 1.0,
    "kN": 1e3,
    "kgf": KILOGRAM,
    "gf": KILOGRAM / 1000,
    "lbf": POUND,
    "ozf": POUND / 16,
}
Sign = Literal["positive", "negative"]
"""What an instrument gives to compression."""


def within(capacity: float, force: float, instrument: str) -> float:
    """Return a force, N, that the load cell can measure; raises OverRange beyond its capacity, and for NaN."""
    if not abs(force) <= capacity:
        raise OverRange(
            instrument,
            f"reads {force:g} N, beyond its capacity of {capacity:g} N",
            "Unload it; check `capacity` in config.toml against the label.",
        )
    return force


def refuse_residue(capacity: float, force: float, instrument: str) -> None:
    """Refuse a tare after which the load cell does not read zero; raises InstrumentRefused."""
    if abs(force) > ZERO_TOLERANCE * capacity:
        raise InstrumentRefused(
            instrument,
            f"reads {force:g} N after its zero command",
            "Unload it, wait until the reading is steady, and tare again.",
        )


def text_of(reply: bytes, request: bytes, instrument: str) -> str:
    """Return a reply as text without spaces around it; raises GarbledReply for what is not printable ASCII."""
    if not reply.isascii() or not reply.decode("ascii").isprintable():
        raise GarbledReply(instrument, request, reply, "printable ASCII")
    return reply.decode("ascii").strip()
