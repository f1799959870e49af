"""`labctl new`: a first protocol of one's own, from a few answers."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from labctl.protocol.begin import Question


def new(
    file: Annotated[
        Path, typer.Argument(help="File to write; one that is there is not overwritten.", show_default=False)
    ],
    positive: Annotated[str | None, typer.Option(help="Material of the positive electrode.")] = None,
    loading: Annotated[str | None, typer.Option(help='Its active loading, "14 mg/cm2".')] = None,
    diameter: Annotated[str | None, typer.Option(help='Its diameter, "10 mm".')] = None,
    one_c: Annotated[str | None, typer.Option(help='Specific current of 1C, "200 mA/g".')] = None,
    negative: Annotated[str | None, typer.Option(help="Material of the negative electrode.")] = None,
    potential: Annotated[str | None, typer.Option(help='Its potential, "0.62 V vs Li".')] = None,
    current: Annotated[str | None, typer.Option(help='Current of charge and discharge, "C/10".')] = None,
    upper: Annotated[str | None, typer.Option(help='Voltage where the charge stops, "4.3 V vs Li".')] = None,
    lower: Annotated[str | None, typer.Option(help='Voltage where the discharge stops, "2.5 V vs Li".')] = None,
    hold: Annotated[str | None, typer.Option(help='Current that ends a hold at the upper voltage, "C/20".')] = None,
    capacity: Annotated[str | None, typer.Option(help='Most charge of one step, "300 mAh/g".')] = None,
    timeout: Annotated[str | None, typer.Option(help='Longest charge or discharge, "20 h".')] = None,
    temperature: Annotated[str | None, typer.Option(help='Temperature of the cell, "30 degC".')] = None,
    pressure: Annotated[str | None, typer.Option(help='Pressure on the negative side, "5 MPa".')] = None,
    bore: Annotated[str | None, typer.Option(help='Bore of the die, "10 mm".')] = None,
    cycles: Annotated[int, typer.Option(min=1, help="Number of cycles.")] = 1,
) -> None:
    r"""Write a protocol that cycles a cell between two voltages; asks at a terminal for what no option says.

    \b
    Example: labctl new my-protocol.toml
    """
    from labctl.protocol.begin import QUESTIONS, protocol_text
    from labctl.protocol.layout import tidy

    given = {
        "positive": positive,
        "loading": loading,
        "diameter": diameter,
        "one-c": one_c,
        "negative": negative,
        "potential": potential,
        "current": current,
        "upper": upper,
        "lower": lower,
        "hold": hold,
        "capacity": capacity,
        "timeout": timeout,
        "temperature": temperature,
        "pressure": pressure,
        "bore": bore,
    }
    _refuse_taken(file)
    answers = {question.name: _answer(question, given[question.name]) for question in QUESTIONS}
    text = tidy(str(file), protocol_text(file.stem, cycles, answers))
    _write(file, text)
    typer.echo(f"{file}: written; `labctl explain {file}` says what it does")


def _answer(question: "Question", given: str | None) -> str:
    """Return what was given, or ask until it is an answer."""
    from labctl.quantity import WordingError

    asked = sys.stdin.isatty()
    while True:
        answer = given
        if answer is None and asked:
            answer = typer.prompt(question.text, default="", show_default=False, err=True)
        if answer is None and not question.optional:
            raise typer.BadParameter(f"say --{question.name}: standard input is no terminal, so nobody can be asked")
        try:
            question.check(answer or "")
        except WordingError as error:
            if given is not None or not asked:
                raise typer.BadParameter(f"--{question.name}: {error}") from None
            typer.echo(f"{error}.", err=True)
            continue
        return answer or ""


def _write(file: Path, text: str) -> None:
    """Write a protocol that a check lets pass; no other is written, and none over another file."""
    from labctl.errors import LabctlError, ProtocolError
    from labctl.protocol import check_source
    from labctl.protocol.source import parse

    wrong = tuple(f for f in check_source(parse(str(file), text, ProtocolError)) if f.severity == "error")
    if wrong:
        raise ProtocolError(wrong)
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        _refuse_taken(file)
    except OSError as error:
        raise LabctlError(f"{file} cannot be written: {error.strerror}.", "Check the folder.") from None


def _refuse_taken(file: Path) -> None:
    if file.exists():
        raise typer.BadParameter(f"{file} is there already; choose another name")
