"""`labctl drill`: kills and faults on purpose, at a copy of one's own simulated laboratory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import console, print_json, settings

if TYPE_CHECKING:
    from labctl.config import Config
    from labctl.drill.exercise import Asked, Exercise

FAILED = 1
SEEDS = 2**31


def drill(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Configuration of the laboratory; else as of every command.", show_default=False)
    ] = None,
    kills: Annotated[int, typer.Option(min=0, help="Processes that are killed.")] = 10,
    faults: Annotated[int, typer.Option(min=0, help="Faults of instruments, cells, rigs and rooms.")] = 20,
    minutes: Annotated[float, typer.Option(min=0.0, help="After so long nothing new is begun.")] = 10.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Decides who dies when, and every fault.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")] = False,
) -> None:
    r"""Kill the processes of a simulated laboratory and let faults befall its stations; see that no reading is lost.

    It works on a copy: its stations with simulators, broker and data of their own, in a temporary folder. The status is
    0 only where nothing was lost, nothing stored twice, and every promise kept.

    \b
    Examples:
      labctl drill
      labctl drill --kills 300 --faults 0 --minutes 60
    """
    import logging
    from random import SystemRandom

    from labctl.config import load
    from labctl.drill.exercise import Asked

    logging.getLogger().addHandler(logging.NullHandler())  # that a broker is gone is no news here
    path = config or settings(context).config_path
    asked = Asked(kills, faults, minutes, SystemRandom().randrange(SEEDS) if seed is None else seed)
    done = _carry_out(load(path), path, asked)
    if json:
        print_json(_as_json(done))
    else:
        _tell(done)
    if any(done.broken):
        raise typer.Exit(FAILED)


def _carry_out(config: "Config", path: Path, asked: "Asked") -> "Exercise":
    """Drill, with progress on standard error; Ctrl-C and SIGTERM end every process that it has begun."""
    import asyncio
    import signal

    from labctl.drill.exercise import exercise

    said = console(to_stderr=True)

    async def interruptible() -> "Exercise":
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await exercise(config, path, asked, said.print)

    said.print(f"seed {asked.seed}; the laboratory of {path} itself is not touched")
    try:
        return asyncio.run(interruptible())
    except asyncio.CancelledError:
        raise typer.Abort from None


def _as_json(done: "Exercise") -> dict[str, object]:
    evidence, killed = done.evidence, done.killed
    return {
        "readings": evidence.readings,
        "readings_lost": evidence.readings_lost,
        "readings_doubled": evidence.readings_doubled,
        "gaps": evidence.gaps,
        "kills": killed.total,
        "killed": killed.kills,
        "runs": {"started": killed.started, "gone_on_with": killed.resumed, "ended": evidence.runs},
        "faults": done.faults,
        "seeds": list(done.seeds),
        "broken": list(done.broken),
        "seconds": round(done.seconds, 1),
        "kept": None if done.kept is None else str(done.kept),
    }


def _tell(done: "Exercise") -> None:
    out, evidence, killed = console(), done.evidence, done.killed
    if killed.total:
        each = ", ".join(f"{name} {count}" for name, count in sorted(killed.kills.items()))
        out.print(f"{killed.total} processes killed ({each}); runs gone on with {killed.resumed} times.")
        out.print(
            f"{evidence.readings} readings stored, {evidence.readings_lost} lost, {evidence.readings_doubled} doubled."
        )
    if done.verdicts:
        hours = sum(verdict.case.duration for verdict in done.verdicts) / 3600.0
        out.print(f"{done.faults} faults in {hours:g} h of lab time.")
    broken = list(done.broken)
    for sentence in broken:
        out.print(f"not kept: {sentence}", soft_wrap=True)
    out.print("Every promise was kept." if not broken else f"Processes, journals, database and cases: {done.kept}")
