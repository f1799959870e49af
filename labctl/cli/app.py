"""The application: its commands, how errors are told, and the exit status.

0 fine, 1 failed at run time, 2 usage, 3 invalid configuration or protocol, 4 instrument unreachable, 5 limit tripped,
6 refused for safety, 7 a check that only warns, 130 interrupted.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, cast

import typer

from labctl import __version__
from labctl.cli import (
    ack,
    alerts,
    answer,
    backup,
    calibrate,
    calibrations,
    campaign,
    cells,
    change,
    check,
    control,
    daemon_command,
    diff,
    doctor,
    drill,
    drivers,
    explain,
    export_command,
    fmt,
    guard,
    import_command,
    methods,
    new,
    note,
    protocols,
    queue,
    repair,
    reproduce,
    run_command,
    runs,
    safe,
    schema,
    show,
    sim,
    site,
    start,
    status,
    tui,
    watch,
)
from labctl.cli.context import Settings

USAGE = 2
INTERRUPTED = 130
USAGE_ERROR = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])
"""Click's base of all usage errors; Typer carries its own copy of Click, so it has no importable name."""

app = typer.Typer(
    name="labctl",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Runs a battery laboratory: a protocol file drives instruments, every reading reaches the database once.",
    epilog="First: labctl run protocols/doerrer-2021/asymmetric.toml --station A1 --simulate --set cycles=1",
)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"labctl {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Configuration; else $LABCTL_CONFIG, ./config.toml, the user's, /etc/labctl.")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Take what every command shares."""
    context.obj = Settings(config)


_COMMANDS: dict[str, Callable[..., None]] = {
    "daemon": daemon_command.daemon,
    "guard": guard.guard,
    "safe": safe.safe,
    "start": start.start,
    "queue": queue.queue,
    "status": status.status,
    "watch": watch.watch,
    "tui": tui.tui,
    "pause": control.pause,
    "resume": control.resume,
    "skip": control.skip,
    "stop": control.stop,
    "reset": control.reset,
    "note": note.note,
    "change": change.change,
    "answer": answer.answer,
    "ack": ack.ack,
    "campaign": campaign.campaign,
    "run": run_command.run,
    "check": check.check,
    "explain": explain.explain,
    "diff": diff.diff,
    "methods": methods.methods,
    "protocols": protocols.protocols,
    "new": new.new,
    "fmt": fmt.fmt,
    "schema": schema.schema,
    "reproduce": reproduce.reproduce,
    "import": import_command.import_,
    "export": export_command.export,
    "sim": sim.sim,
    "calibrations": calibrations.calibrations,
    "runs": runs.runs,
    "show": show.show,
    "drivers": drivers.drivers,
    "doctor": doctor.doctor,
    "drill": drill.drill,
    "backup": backup.backup,
    "repair": repair.repair,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(calibrate.app, name="calibrate")
app.add_typer(cells.app, name="cells")
app.add_typer(site.app, name="site")
app.add_typer(alerts.app, name="alerts")


def run() -> int:
    """Run the command line; return its exit status. An error that is none of ours keeps its traceback: it is a bug."""
    from labctl.errors import CommandRefused, InvalidInput, LabctlError

    try:
        status = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except USAGE_ERROR as error:
        error.show()
        return USAGE
    except InvalidInput as error:
        for finding in error.findings:
            _tell_error(str(finding))
        return error.exit_code
    except CommandRefused as error:
        for text in [finding["text"] for finding in error.findings] or [f"error: {error}"]:
            _tell_error(text)
        return error.exit_code
    except LabctlError as error:
        _tell_error(f"error: {error}")
        return error.exit_code
    except BrokenPipeError:  # who reads has seen enough; Python would complain once more while it closes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status or 0  # a command that leaves with typer.Exit returns its status


def _tell_error(text: str) -> None:
    """Print what went wrong; what stems from files, instruments and daemons is printed literally."""
    from labctl.literal import literal

    typer.echo("\n".join(map(literal, text.split("\n"))), err=True)
