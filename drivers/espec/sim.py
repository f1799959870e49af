"""An SCP-220 as its line shows it: temperatures, modes, alarms and refusals, over the bench's room."""

import math
import re

from drivers.espec.driver import Espec
from labctl.sim.bench import Bench

TYPE = "T,SCP220,180.0"
VERSION, ANOTHER = "JMIC -S1.00", "JMIC -S1.10"
ALARM_LIMITS = (105.0, -45.0)
"""°C, as the network guide's example has them."""
SENSOR_OFFSET, NOISE = 0.03, 0.01
"""K; assumed, as for a Pt100 of class A."""
BURNT_OUT, NOT_A_NUMBER = "999.9", "---.-"
"""What it sends of a temperature that it cannot measure, and where its converter fails; both assumed."""
MODES = ("OFF", "STANDBY", "CONSTANT", "RUN")
ADDRESSED = re.compile(r"(\d+),(.*)")
TARGET = re.compile(r"TEMP,S([+-]?\d+(?:\.\d+)?)")


class Simulator:
    """One chamber.

    Attributes:
        mode: OFF, STANDBY, CONSTANT or RUN; programs are not simulated, RUN heats nothing.
        alarms: numbers of those that it reports.
        protected: whether settings are protected at its panel.
        setpoint: °C.
    """

    def __init__(self, bench: Bench, port: str, options: Espec.Options) -> None:
        self.mode = "STANDBY"
        self.alarms: list[int] = []
        self.protected = False
        self.setpoint = 25.0
        self._bench = bench
        self._address = options.id
        self._version = VERSION
        self._buffer = b""
        self._trouble = bench.trouble(port)
        self._felt = self._trouble.quantity(lambda: bench.room.bath)
        self._sensor = bench.sensor(f"{port}.chamber", offset=SENSOR_OFFSET, noise=NOISE, now=self._trouble.measured_at)

    def receive(self, data: bytes) -> bytes:
        """Take messages that end with CR LF and return their answers; one to another address has none."""
        *messages, self._buffer = (self._buffer + data).split(b"\r\n")
        answers = (self._message(message.decode("latin-1").strip()) for message in messages)
        return b"".join(f"{answer}\r\n".encode("latin-1") for answer in answers if answer)

    def reset_line(self) -> None:
        """Forget half a message."""
        self._buffer = b""

    def restart(self, *, other: bool = False) -> None:
        """Come back from a power cut in standby, with its set point; `other`: another version of its program."""
        self._version = ANOTHER if other else VERSION
        self._buffer = b""
        self.mode = "STANDBY"
        self._regulate()

    def _message(self, message: str) -> str:
        match = ADDRESSED.fullmatch(message)
        address, command = (None, message) if match is None else (int(match[1]), match[2])
        if address != self._address:
            return ""
        said = "".join(command.split()).upper()
        return self._asked(said) or self._set(said)

    def _asked(self, said: str) -> str:
        match said:
            case "TYPE?":
                return TYPE
            case "ROM?":
                return self._version
            case "TEMP?":
                high, low = ALARM_LIMITS
                measured = self._sensor.read(self._felt())
                return ", ".join(self._shown(celsius) for celsius in (measured, self.setpoint, high, low))
            case "MODE?":
                return self.mode
            case "MON?":
                return f"{self._shown(self._sensor.read(self._felt()))}, {self.mode}, {len(self.alarms)}"
            case "ALARM?":
                return ", ".join(map(str, (len(self.alarms), *self.alarms)))
        return ""

    def _set(self, said: str) -> str:
        target = TARGET.fullmatch(said)
        mode = said.removeprefix("MODE,")
        if target is None and (not said.startswith("MODE,") or mode not in MODES):
            return "NA:PARA ERR" if said.startswith(("TEMP,", "MODE,")) else "NA:CMD ERR"
        if self.protected:
            return "NA:PROTECT ON"
        if target is None:
            self.mode = mode
        elif ALARM_LIMITS[1] <= float(target[1]) <= ALARM_LIMITS[0]:
            self.setpoint = round(float(target[1]), 1)
        else:
            return "NA:DATA OUT OF RANGE"
        self._regulate()
        return f"OK:{said}"

    def _shown(self, celsius: float) -> str:
        """Write a temperature in the unit of the display, which is °F where somebody chose that (assumed)."""
        if not math.isfinite(celsius):
            return NOT_A_NUMBER if math.isnan(celsius) else BURNT_OUT
        return f"{1.8 * celsius + 32:.1f}" if self._trouble.wrong_unit else f"{celsius:.1f}"

    def _regulate(self) -> None:
        self._bench.room.regulate(self.setpoint if self.mode == "CONSTANT" else None)
