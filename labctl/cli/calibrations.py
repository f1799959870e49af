"""`labctl calibrations`: what has been calibrated, how old it is, and until when it stands."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli.context import console, print_json, settings

if TYPE_CHECKING:
    from labctl.calibration.model import AnyCalibration


def calibrations(
    context: typer.Context,
    station: Annotated[str | None, typer.Argument(help="Station; else all.", show_default=False)] = None,
    plot: Annotated[str | None, typer.Option(metavar="RUN", help="Show the one of this run, by its UUID.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    r"""List calibrations, the newest first.

    One stands for as long as it is the newest of its kind and side and its instruments are those at the station.

    \b
    Examples:
      labctl calibrations A1
      labctl calibrations --plot 7c1e
    """
    from labctl.calibration.store import Calibrations
    from labctl.cli.calibrated import show_calibration
    from labctl.errors import StorageError

    found = Calibrations(settings(context).data_folder()).every(station)
    if plot is not None:
        chosen = [each for each in found if each.run.startswith(plot.lower())]
        if not chosen:
            raise StorageError(f"No calibration is of a run {plot!r}.", "`labctl calibrations` lists them.")
        show_calibration(console(), chosen[0])
    elif json:
        print_json({"calibrations": [_as_json(each, word) for each, word in _told(found)]})
    else:
        _print(found)


def _told(found: "list[AnyCalibration]") -> "list[tuple[AnyCalibration, str]]":
    """Return each with its word, the newest first."""
    from labctl.clock import host_unix

    seen: set[tuple[str, str, str, bool]] = set()
    told = []
    for each in found:
        simulated = any(instrument.simulated for instrument in each.instruments.values())
        key = (each.station, each.side, each.kind, simulated)
        word = "superseded" if key in seen else "expired" if each.expired(host_unix()) else "newest"
        seen.add(key)
        told.append((each, word))
    return told


def _as_json(each: "AnyCalibration", word: str) -> dict[str, Any]:
    from labctl.calibration.quote import quote
    from labctl.clock import host_unix

    return {**quote(each), "age_second": each.age(host_unix()), "word": word}


def _print(found: "list[AnyCalibration]") -> None:
    from labctl.calibration.model import TorqueCalibration
    from labctl.cli.tables import duration, make_table
    from labctl.clock import host_unix

    if not found:
        console().print("Nothing has been calibrated. Begin with: labctl calibrate torque STATION")
        return
    table = make_table("Station", "Side", "Kind", "Date (UTC)", "Age", "Expires", "By", "Run", "", "Result", left=10)
    for each, word in _told(found):
        if isinstance(each, TorqueCalibration):
            up = each.fit.up
            result = f"{up.coefficient:.3g} N·m at {up.reference:.3g} N, ±{100.0 * up.repeatability:.2g} % (1 s)"
        else:
            result = f"offset {each.fit.offset:.3g} N, gain {each.fit.gain:.5g}"
        simulated = " (simulated)" if any(one.simulated for one in each.instruments.values()) else ""
        table.add_row(
            each.station,
            each.side,
            each.kind + simulated,
            f"{each.date:%Y-%m-%d %H:%M}",
            duration(max(each.age(host_unix()), 0.0)),
            "never" if each.expires is None else f"{each.expires:%Y-%m-%d}",
            each.operator,
            each.run[:8],
            word,
            result,
        )
    console().print(table)
