"""What a daemon says of a station, run or none: its retained state."""

from labctl.api import StationState, Word
from labctl.clock import VirtualClock, host_unix
from labctl.daemon.keeper import Keeper, station_limits
from labctl.lab.state import instruments, limits_of, measured, run_status, word_of_run
from labctl.reading import RunState


def station_state(keeper: Keeper) -> StationState:
    """Return the state of a station now."""
    lab, bench, turn = keeper.laboratory, keeper.bench, keeper.turn
    word, why = _word(keeper)
    common = {
        "station": keeper.station,
        "word": word,
        "why": why,
        "said_unix_second": host_unix(),
        "queue": keeper.queue.shown(),
        "alarms": lab.alarms.of(keeper.station),
        "last_run": None if keeper.last is None else keeper.last[0].run,
    }
    if bench is None:
        return StationState(**common, simulated=keeper.simulated, lab_unix_second=host_unix())
    run, clock = None if turn is None else turn.run, bench.clock
    limits = station_limits(keeper.abilities) if run is None else limits_of(run)
    return StationState(
        **common,
        simulated=bench.assembly.simulated,
        speed=clock.speed if isinstance(clock, VirtualClock) else 1.0,
        lab_unix_second=clock.unix(),
        values=measured(bench.assembly, clock, limits, run),
        run=None if turn is None else run_status(turn.run, turn.entry.run, turn.entry.user, turn.began),
        asked=bench.operator.asked,
        instruments=instruments(lab.config, bench.assembly),
    )


def _word(keeper: Keeper) -> tuple[Word, str]:
    """Return the word and, where it needs one, a sentence."""
    if keeper.queue.stopped:
        return Word.ESTOP, "Everything was stopped; nothing starts until somebody resets it."
    if keeper.bench is None:
        return (Word.LOST if keeper.was_tried else Word.CONNECTING), keeper.trouble
    latched = keeper.laboratory.alarms.latched(keeper.station)
    if latched is not None:
        return Word.ALARM, latched.sentence
    if "cycler" in keeper.bench.assembly.station.failing:
        return Word.LOST, keeper.bench.assembly.station.failing["cycler"]
    if keeper.turn is not None:
        asked = keeper.bench.operator.asked
        return word_of_run(keeper.turn.run, asked=asked is not None), "" if asked is None else asked.text
    if keeper.held and keeper.queue:
        return Word.READY, f"The next run waits for `labctl resume {keeper.station}`: {keeper.held}."
    if keeper.last is not None and keeper.last[1].state is RunState.COMPLETED:
        return Word.DONE, ""
    return Word.IDLE, "" if keeper.last is None else keeper.last[1].reason
