"""What tools in a person's hand have in common: the question, what is typed, and what is asked again.

A person cannot be identified over a wire, and a tool without electronics has no serial number to be asked for: what
config.toml says of it is its identity, and the load cell is what checks the force.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from labctl.errors import InstrumentRefused, RefusedForSafety
from labctl.instrument import Executes, Features, Identity, Link, Options, PersonWire, Range, Role
from labctl.quantity import Dimension, QuantityError, parse

ATTEMPTS = 5
"""Answers that cannot be understood before the tool is given up."""
AGAIN = " Again: "
"""Between why an answer was of no use, and the request."""
NEVER_POLLED = 10.0


class ToolOptions(Options):
    """`serial` is what is written on the tool or its certificate; `self_locking`: the force stays without it."""

    self_locking: bool
    serial: str = ""


class HandTool(ABC):
    """A tool with a scale; its drivers say how they are asked for and in which dimension their scale is.

    Args:
        model: what it is, for sentences: "torque wrench".
        tool_range: N·m or N.
    """

    ROLE: ClassVar[Role] = Role.HAND_TOOL
    WIRE: ClassVar[PersonWire] = PersonWire()
    FEATURES: ClassVar[Features] = Features(limits=Executes.HOST)
    shows: Literal["torque", "force"]
    screw: float | None = None

    def __init__(self, link: Link, model: str, options: ToolOptions, tool_range: Range, scale: Dimension) -> None:
        self.poll_period = NEVER_POLLED
        self.self_locking = options.self_locking
        self.tool_range = tool_range
        self._link = link
        self._identity = Identity("by hand", model, options.serial, "none")
        self._scale = scale

    async def connect(self) -> Identity:
        """Say what config.toml says: nobody is asked before something is to be moved."""
        return self._identity

    async def safe_state(self) -> None:  # noqa: B027 - it is what every such tool does
        """Do nothing: a tool that nobody is asked to move stands still."""

    async def apply(self, value: float, side: str, why: str, *, release: bool) -> float:
        """Ask a person to bring the scale to a value, and return what it showed.

        Raises:
            RefusedForSafety: the value is beyond the range of the tool.
            InstrumentRefused: no answer could be understood.
        """
        if value and value not in self.tool_range:
            raise RefusedForSafety(
                f"{self._link.name}: {self._said(value)} is beyond the range of the {self._identity.model}, "
                f"{self._said(self.tool_range.low)} to {self._said(self.tool_range.high)}.",
                "Ask for another pressure, or use another tool.",
            )
        request, again = self._request(value, side, why, release=release), ""
        for _ in range(ATTEMPTS):
            reply = await self._link.query(f"{again}{request}\n".encode())
            try:
                return self._understood(reply)
            except QuantityError as error:
                again = f"{error.sentence[:1].upper()}{error.sentence[1:]}: {error.remedy}.{AGAIN}"
        raise InstrumentRefused(
            self._link.name,
            f"{ATTEMPTS} answers could not be understood, the last was {reply.decode('utf-8', 'replace')!r}",
            f"Type what the scale showed with its unit, such as {self._said(value)}; start the run again.",
        )

    @abstractmethod
    def _request(self, value: float, side: str, why: str, *, release: bool) -> str:
        """Return what is asked of the person, in one line; it names the value in the unit of the scale."""

    @abstractmethod
    def _said(self, value: float) -> str:
        """Return a value as the scale shows it."""

    def _worth(self, shown: float) -> float:
        """Return N·m or N of what the scale showed, in SI."""
        return shown

    def _understood(self, reply: bytes) -> float:
        """Return what was typed; raises QuantityError where that cannot be what the scale showed."""
        shown = self._worth(float(parse(reply.decode("utf-8", "replace"), self._scale)))
        if shown and shown not in self.tool_range:
            low, high = self._said(self.tool_range.low), self._said(self.tool_range.high)
            raise QuantityError(f'"{reply.decode()}" cannot be read on it', f"its scale goes from {low} to {high}")
        return shown
