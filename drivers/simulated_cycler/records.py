"""A page of records: what the instrument keeps of one, as it goes over the wire, and its counters unwrapped again.

On the wire a counter is as wide as the instrument's: it wraps. A page begins with the high words of its first record's
counters; within the page each record follows the one before by less than a whole turn.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

from labctl.program import Kept
from labctl.sim.counts import Counts

PAGE = 100
"""Most records of a page."""
LONGEST_GAP = 1 << 31
"""ms after which a record is kept in any case, so that the clock never turns unseen."""
BITS = {"number": 16, "clock": 32, "step_clock": 32, "steps": 16, "cycles": 16}
_KINDS = {Kept.START: "S", Kept.SAMPLE: "M", Kept.END: "E"}
_INTEGER, _DECIMAL = r"(\d{1,10})", r"(-?\d{1,15}\.\d{1,8})"
_RECORD = re.compile(",".join([_INTEGER] * 6 + [_DECIMAL] * 6 + ["([SME])", r"(\d{1,4}|-)"]))


@dataclass(frozen=True, slots=True)
class Entry:
    """One record, with the counters that wrap on the wire at their full width.

    Attributes:
        number: from 1.
        clock: ms since the program began.
        step_clock: ms since the executed step began, pauses apart.
        steps: executed steps so far, this one included.
        cycles: counting passes begun so far.
        step: number of the step in the program, from 1.
        voltage, current: V, A.
        counts: C and J since the program began.
        end: number of the end that was met, from 0.
    """

    number: int
    clock: int
    step_clock: int
    steps: int
    cycles: int
    step: int
    voltage: float
    current: float
    counts: Counts
    kept: Kept
    end: int | None = None


_COUNTERS = tuple(field.name for field in fields(Entry))[: len(BITS)]


def page(entries: Sequence[Entry]) -> str:
    """Return records as one text: how many, the high words of the first, and every record after a semicolon."""
    if not entries:
        return "0"
    high = (str(getattr(entries[0], name) >> BITS[name]) for name in _COUNTERS)
    return f"{len(entries)} {','.join(high)};" + ";".join(_written(entry) for entry in entries)


def unpaged(text: str) -> list[Entry]:
    """Return the records of a page.

    Raises:
        ValueError: it is no page.
    """
    if text == "0":
        return []
    head, *written = text.split(";")
    found = re.fullmatch(rf"(\d{{1,3}}) {','.join([_INTEGER] * len(BITS))}", head)
    if found is None or int(found[1]) != len(written):
        raise ValueError("no head of a page, or another number of records than it says")
    counters = [int(word) << BITS[name] for name, word in zip(_COUNTERS, found.groups()[1:], strict=True)]
    entries: list[Entry] = []
    for one in written:
        entry, counters = _read(one, counters)
        entries.append(entry)
    return entries


def _written(entry: Entry) -> str:
    low = [getattr(entry, name) & ((1 << BITS[name]) - 1) for name in _COUNTERS]
    counts = ",".join(f"{count:.7f}" for count in entry.counts)
    end = "-" if entry.end is None else entry.end
    return (
        f"{','.join(map(str, low))},{entry.step},{entry.voltage:.5f},{entry.current:.8f},"
        f"{counts},{_KINDS[entry.kept]},{end}"
    )


def _read(written: str, before: Sequence[int]) -> tuple[Entry, list[int]]:
    """Return a record, and its counters for the next one."""
    found = _RECORD.fullmatch(written)
    if found is None:
        raise ValueError("no record")
    *integers, voltage, current, charge_in, charge_out, energy_in, energy_out, kind, end = found.groups()
    kept = next(each for each, letter in _KINDS.items() if letter == kind)
    counters = [
        int(low) if name == "step_clock" and kept is Kept.START else unwrapped(int(low), last, BITS[name])
        for name, low, last in zip(_COUNTERS, integers, before, strict=False)
    ]
    counts = Counts(float(charge_in), float(charge_out), float(energy_in), float(energy_out))
    step = int(integers[len(BITS)])
    number, clock, step_clock, steps, cycles = counters
    met = None if end == "-" else int(end)
    entry = Entry(number, clock, step_clock, steps, cycles, step, float(voltage), float(current), counts, kept, met)
    return entry, counters


def unwrapped(low: int, last: int, bits: int) -> int:
    """Return the smallest number that is not below `last` and whose lowest bits are `low`.

    Raises:
        ValueError: there are more bits in `low`.
    """
    turn = 1 << bits
    if not 0 <= low < turn:
        raise ValueError(f"{low} does not fit into {bits} bits")
    number = last - last % turn + low
    return number if number >= last else number + turn
