"""The DSC/DCell digitiser as its RS-485 line sees it: parameters by name, flags, and a strain gauge."""

import math

from drivers.force import NEWTON
from drivers.mantracourt_dsc.driver import BROADCAST, INTEGRITY, MOST_DIGITS, NUMBER, REFUSED, MantracourtDsc
from drivers.strain_gauge import StrainGauge
from labctl.sim.bench import Bench
from labctl.sim.rig import Side

GAIN = 250.0
"""Of the system stage, in its unit for 1 mV/V; assumed."""
UNDER, OVER = 1 << 8, 1 << 9
"""SYSUR and SYSOR."""
LIMIT = 1.2
"""SMIN and SMAX over the capacity, at which SYS stays; assumed."""
FOREIGN = 1 / NEWTON["lbf"]
"""Somebody who makes the unit wrong on purpose scales it anew, so that newtons become pounds."""
BRIDGE_GONE = 0.0
"""What SYS says without a bridge; assumed."""
SERIALS = {False: (258, 6359), True: (258, 6360)}
"""SERH and SERL; another digitiser has others."""
VERSION = 4 << 8 | 2
DIGITS, LARGEST_DIGITS = ("DP", "DPB"), 7
"""Digits behind and before the point; how many there may be is assumed."""


class Simulator:
    """One digitiser whose load cell feels the force on one side of the bench's rig.

    Attributes:
        parameters: what can be written, by name.
    """

    def __init__(self, bench: Bench, port: Side, options: MantracourtDsc.Options) -> None:
        self.parameters = {"SGAI": GAIN, "SOFS": 0.0, "SZ": 0.0, "DP": 3.0, "DPB": 5.0}
        self._station = options.station
        self._limit = LIMIT * options.capacity / NEWTON[options.unit]
        self._newton = NEWTON[options.unit]
        self._gauge = StrainGauge(
            bench, port, "mantracourt-dsc", options.capacity, 1 if options.compression == "positive" else -1
        )
        self._serial = SERIALS[False]
        self._buffer = b""

    def receive(self, data: bytes) -> bytes:
        """Take messages from "!" to CR; answer those to this station, carry out those to all."""
        *messages, self._buffer = (self._buffer + data).split(b"\r")
        return b"".join(self._answer(message.decode("latin-1")) for message in messages)

    def reset_line(self) -> None:
        """Forget half a message."""
        self._buffer = b""

    def restart(self, *, other: bool = False) -> None:
        """Come back from a power cut without its zero; `other`: with another serial number."""
        self._serial = SERIALS[other]
        self.parameters["SZ"] = 0.0
        self._buffer = b""

    def _answer(self, message: str) -> bytes:
        _, begun, message = message.rpartition("!")
        station, separator, instruction = message.partition(":")
        if not begun or not separator or station not in (f"{self._station:03d}", f"{BROADCAST:03d}"):
            return b""
        reply = self._carry_out(instruction.upper())
        return b"" if station == f"{BROADCAST:03d}" else reply.encode() + b"\r"

    def _carry_out(self, instruction: str) -> str:
        if instruction.endswith("?"):
            return self._printed(instruction[:-1])
        name, given, value = instruction.partition("=")
        if not given or name not in self.parameters or len(value) > MOST_DIGITS or not NUMBER.fullmatch(value):
            return REFUSED
        if name in DIGITS and not 0 <= float(value) <= LARGEST_DIGITS:
            return REFUSED
        self.parameters[name] = float(value)
        return ""

    def _printed(self, name: str) -> str:
        whole = {"SERH": self._serial[0], "SERL": self._serial[1], "VER": VERSION, "STN": self._station}
        whole |= {each: int(self.parameters[each]) for each in DIGITS}
        if name == "STAT":
            return f"{self._status():+06d}"
        if name in whole:
            return f"{whole[name]:+06d}"
        scaled = {"SGAI": self._factor() * self.parameters["SGAI"], "SOFS": self.parameters["SOFS"]}
        scaled |= {"SZ": self.parameters["SZ"], "SRAW": self._raw(), "SYS": self._system()}
        if name not in scaled:
            return REFUSED
        digits, decimals = whole["DPB"], whole["DP"]
        return f"{scaled[name]:+0{digits + decimals + 1 + bool(decimals)}.{decimals}f}"

    def _factor(self) -> float:
        return FOREIGN if self._gauge.trouble.wrong_unit else 1.0

    def _raw(self) -> float:
        felt = self._gauge.read()
        if math.isnan(felt):
            return BRIDGE_GONE
        value = self._factor() * (felt / self._newton * self.parameters["SGAI"] / GAIN - self.parameters["SOFS"])
        return min(max(value, -self._limit), self._limit)

    def _system(self) -> float:
        return self._raw() - self.parameters["SZ"]

    def _status(self) -> int:
        if math.isnan(self._gauge.read()):
            return INTEGRITY
        raw = self._raw()
        return OVER if raw >= self._limit else UNDER if raw <= -self._limit else 0
