"""The XM540-W270 as its bus sees it: packets, control table with its access rules, watchdog and shutdown."""

import math

from drivers.dynamixel_x import table
from drivers.dynamixel_x.driver import DynamixelX
from drivers.dynamixel_x.packet import Instruction, Packet, Packets, decode, encode
from drivers.dynamixel_x.registers import ALERT
from drivers.dynamixel_x.table import Item
from labctl.sim.bench import Bench, screw_side
from labctl.sim.servo import HostWatchdog, Servo

BROADCAST = 254
RESULT_FAIL, INSTRUCTION_ERROR, CRC_ERROR, RANGE_ERROR, LENGTH_ERROR, LIMIT_ERROR, ACCESS_ERROR = range(1, 8)
ANSWERED_FROM: dict[int, int] = {Instruction.PING: 0, Instruction.READ: 1}
"""Status Return Level from which an instruction is answered; 2 for all others."""
OPERATING_MODES = (0, 1, 3, 4, table.CURRENT_BASED_POSITION, 16)
POSITION_MODES = (3, 4, table.CURRENT_BASED_POSITION)
PLAY = 0.25 / 360 * table.COUNTS_PER_TURN
"""Counts between horn and screw when the direction changes; 15 arcmin in the data sheet, placed there by assumption."""
FIRST_POSITION = table.COUNTS_PER_TURN // 2
GOALS = (table.GOAL_PWM, table.GOAL_CURRENT, table.GOAL_VELOCITY, table.GOAL_POSITION)

_AT = {item.address: item for item in table.ITEMS}


class Refusal(Exception):
    """The servo's error number for an instruction that it does not carry out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Simulator:
    """One servo that turns the screw of the bench's rig.

    It moves in the position modes only; current, velocity and PWM control, registered and synchronous instructions,
    factory reset and the addresses from 148 on are not simulated: it refuses them.
    """

    def __init__(self, bench: Bench, port: str, options: DynamixelX.Options) -> None:
        sign = 1 if options.direction == "counterclockwise" else -1
        self._bench = bench
        self._buffer = bytearray()
        self._memory = bytearray(table.TABLE_END)
        self._servo = servo = Servo(
            bench.rig,
            table.COUNTS_PER_TURN,
            sign * options.reduction,
            play=PLAY,
            first=FIRST_POSITION,
            side=screw_side(port),
        )
        self._trouble = bench.trouble(port)
        self._angle = self._trouble.quantity(lambda: servo.position / servo.counts_per_radian)
        self._load = self._trouble.quantity(lambda: servo.load, drifts=False)
        self._watchdog = HostWatchdog(self._bitten)
        for item in table.ITEMS:
            self.set(item, item.initial)
        self.set(table.ID, options.id)
        bench.attach(self._servo)
        bench.attach(self._watchdog)

    def receive(self, data: bytes) -> bytes:
        """Take bytes and return the status packets that they bring about."""
        self._buffer += data
        replies = b""
        while (packet := Packets().take(self._buffer)) is not None:
            replies += self._answer(packet)
        return replies

    def reset_line(self) -> None:
        """Forget a half-received packet."""
        self._buffer.clear()

    # -- what a person at the bench can do -------------------------------------------------------------------------

    def get(self, item: Item) -> int:
        """Look into the control table."""
        self._measure()
        return self._get(item)

    def set(self, item: Item, value: int) -> None:
        """Set an entry past all access rules, as another program or a fault would."""
        self._memory[item.address : item.end] = item.encode(value)

    def fail(self, bits: int) -> None:
        """Meet with a hardware error; those that Shutdown names switch torque off."""
        self.set(table.HARDWARE_ERROR_STATUS, self._get(table.HARDWARE_ERROR_STATUS) | bits)
        if bits & self._get(table.SHUTDOWN):
            self.set(table.TORQUE_ENABLE, 0)
            self._torque_changed()

    def restart(self, *, other: bool = False) -> None:
        """Lose power and get it back: RAM, whole turns and errors are forgotten; `other`: with another firmware."""
        self.set(table.FIRMWARE_VERSION, table.FIRMWARE_VERSION.initial + other)
        self._buffer.clear()
        for item in table.ITEMS:
            if item.address >= table.EEPROM_END:
                self.set(item, item.initial)
        self.set(table.GOAL_CURRENT, self._get(table.CURRENT_LIMIT))
        self._servo.restart(self._servo.position % table.COUNTS_PER_TURN)  # it knows where within a turn it is
        self._torque_changed()

    # -- packets ---------------------------------------------------------------------------------------------------

    def _answer(self, raw: bytes) -> bytes:
        own_id = self._get(table.ID)
        try:
            packet = decode(raw)
        except ValueError:
            return self._status(CRC_ERROR) if raw[4] == own_id else b""
        if packet.instruction == Instruction.STATUS:
            return b""  # another servo's answer
        self._watchdog.feed(self._bench.time)  # any instruction packet on the bus counts
        if packet.id not in (own_id, BROADCAST):
            return b""
        try:
            answer = self._status(0, self._carry_out(packet))
        except Refusal as refusal:
            answer = self._status(refusal.number)
        if packet.id == BROADCAST and packet.instruction != Instruction.PING:
            return b""
        return answer if self._get(table.STATUS_RETURN_LEVEL) >= ANSWERED_FROM.get(packet.instruction, 2) else b""

    def _status(self, error: int, data: bytes = b"") -> bytes:
        alert = ALERT if self._get(table.HARDWARE_ERROR_STATUS) else 0
        return encode(self._get(table.ID), Instruction.STATUS, bytes([alert | error]) + data)

    def _carry_out(self, packet: Packet) -> bytes:
        parameters = packet.parameters
        match packet.instruction:
            case Instruction.PING:
                return table.MODEL_NUMBER.encode(self._get(table.MODEL_NUMBER)) + bytes(
                    [self._get(table.FIRMWARE_VERSION)]
                )
            case Instruction.READ if len(parameters) == 4:
                start, size = int.from_bytes(parameters[:2], "little"), int.from_bytes(parameters[2:], "little")
                return self._read(start, size)
            case Instruction.WRITE if len(parameters) > 2:
                self._write(int.from_bytes(parameters[:2], "little"), parameters[2:])
            case Instruction.REBOOT:
                self.restart()
            case _:
                raise Refusal(INSTRUCTION_ERROR)
        return b""

    # -- control table ---------------------------------------------------------------------------------------------

    def _get(self, item: Item) -> int:
        return item.decode(self._memory)

    def _read(self, start: int, size: int) -> bytes:
        if not size or start + size > table.TABLE_END:
            raise Refusal(ACCESS_ERROR)
        self._measure()
        return bytes(self._memory[start : start + size])

    def _write(self, address: int, data: bytes) -> None:
        changes: list[tuple[Item, int]] = []
        while data:
            item = _AT.get(address)
            if item is None or item.high is None:
                raise Refusal(ACCESS_ERROR)
            if len(data) < item.size:
                raise Refusal(LENGTH_ERROR)
            value = item.decode(data, address)
            self._check(item, value)
            changes.append((item, value))
            address, data = item.end, data[item.size :]
        for item, value in changes:
            self.set(item, value)
            self._changed(item)

    def _check(self, item: Item, value: int) -> None:
        if item.address < table.EEPROM_END and self._get(table.TORQUE_ENABLE):
            raise Refusal(ACCESS_ERROR)
        if item in GOALS and self._get(table.BUS_WATCHDOG) == table.WATCHDOG_EXPIRED:
            raise Refusal(RANGE_ERROR)
        if item.high is None or not item.low <= value <= item.high:
            raise Refusal(RANGE_ERROR)
        if item is table.OPERATING_MODE and value not in OPERATING_MODES:
            raise Refusal(RANGE_ERROR)
        if item is table.GOAL_CURRENT and abs(value) > self._get(table.CURRENT_LIMIT):
            raise Refusal(LIMIT_ERROR)
        if item is table.TORQUE_ENABLE and value and self._get(table.HARDWARE_ERROR_STATUS) & self._get(table.SHUTDOWN):
            raise Refusal(RESULT_FAIL)

    def _changed(self, item: Item) -> None:
        if item is table.OPERATING_MODE:
            self.set(table.PROFILE_VELOCITY, 0)
            self.set(table.GOAL_CURRENT, self._get(table.CURRENT_LIMIT))
        elif item in (table.TORQUE_ENABLE, table.BUS_WATCHDOG):
            self._torque_changed()
        elif item in GOALS and self._get(table.TORQUE_ENABLE):
            self._drive()

    def _torque_changed(self) -> None:
        """Watch the bus while torque is on, and drive to the goal or let go."""
        torque, watchdog = self._get(table.TORQUE_ENABLE), self._get(table.BUS_WATCHDOG)
        expired = watchdog == table.WATCHDOG_EXPIRED
        self._watchdog.watch(watchdog * table.WATCHDOG_UNIT if torque and not expired else 0.0)
        if not torque:
            self._servo.stop()
        elif not expired:
            self._drive()

    def _drive(self) -> None:
        mode = self._get(table.OPERATING_MODE)
        if mode not in POSITION_MODES:
            return
        limit = self._get(table.CURRENT_LIMIT)
        current = abs(self._get(table.GOAL_CURRENT)) if mode == table.CURRENT_BASED_POSITION else limit
        velocity_limit = self._get(table.VELOCITY_LIMIT)
        velocity = min(self._get(table.PROFILE_VELOCITY) or velocity_limit, velocity_limit)
        self._servo.drive(
            self._bench.time,
            goal=self._get(table.GOAL_POSITION) - self._misplaced(),
            speed=velocity * _COUNTS_PER_SECOND,
            torque=current * table.NEWTON_METRE_PER_COUNT,
        )

    def _bitten(self) -> None:
        self._servo.stop()
        self.set(table.BUS_WATCHDOG, table.WATCHDOG_EXPIRED)

    def _encoder(self) -> int:
        """Return the position that the servo's encoder tells, in counts."""
        return _saturated(self._angle() * self._servo.counts_per_radian, table.PRESENT_POSITION)

    def _misplaced(self) -> int:
        """Return by how many counts the encoder is wrong; the servo goes by it, so its goals are wrong as much."""
        return self._encoder() - self._servo.position if math.isfinite(self._angle()) else 0

    def _measure(self) -> None:
        """Bring the entries that the servo measures up to date."""
        servo = self._servo
        if servo.stalled:
            current = abs(self._get(table.GOAL_CURRENT))
        else:
            current = _saturated(self._load() / table.NEWTON_METRE_PER_COUNT, table.PRESENT_CURRENT)
        self.set(table.MOVING, int(servo.velocity != 0))
        self.set(table.PRESENT_CURRENT, current * servo.direction)
        self.set(table.PRESENT_VELOCITY, round(servo.velocity / _COUNTS_PER_SECOND))
        self.set(table.PRESENT_POSITION, self._encoder())
        self.set(table.REALTIME_TICK, int(self._bench.time * 1000) % 32768)


def _saturated(value: float, item: Item) -> int:
    """Round to what a signed register holds."""
    most = (1 << 8 * item.size - 1) - 1
    return round(min(max(value, -most), most))


_COUNTS_PER_SECOND = table.RADIAN_PER_SECOND_PER_COUNT * table.COUNTS_PER_TURN / (2 * math.pi)
"""One count of velocity, in counts of position a second."""
