"""Protocols in words, as tests ask for them."""

from labctl.protocol import ANY_STATION, Protocol, bind
from labctl.protocol.scale import Scale
from labctl.words.difference import differences
from labctl.words.explain import explain
from labctl.words.methods import methods
from labctl.words.values import Values
from tests.protocol.files import HEAD, LIBRARY, read


def library(name: str) -> Protocol:
    return read((LIBRARY / f"{name}.toml").read_text("utf-8"))


def values(protocol: Protocol) -> Values:
    return Values(Scale(bind(protocol, ANY_STATION).cell))


def explained(protocol: Protocol, *, expand: bool = False) -> str:
    return explain(protocol, bind(protocol, ANY_STATION), expand=expand)


def steps(text: str, *, expand: bool = False) -> list[str]:
    """The numbered prose of the small protocol with these steps."""
    return explained(read(HEAD + text), expand=expand).split("\n\n")[-1].splitlines()


def paragraph(protocol: Protocol) -> str:
    plan = bind(protocol, ANY_STATION)
    return methods(protocol, protocol.file.cell, plan.cell, plan.hash, None)


def different(first: str, second: str) -> tuple[str, ...]:
    one, other = read(first), read(second)
    return differences(one.file, other.file, (values(one), values(other)))
