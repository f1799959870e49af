"""The page of commands and the program say the same: every command, argument, option, and exit status."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
from typer.core import TyperGroup

from labctl.bus import __main__ as broker
from labctl.cli import app as application
from labctl.drill import __main__ as drill
from labctl.record import __main__ as recorder

from .pages import DOCS, DOORS, PAGES, blocks, headings, name_of, quoted, tables

PAGE = DOCS / "reference" / "commands.md"


def commands(group: TyperGroup, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command of a group with its whole name, such as "cells show"."""
    for name, command in group.commands.items():
        yield before + name, command
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{before}{name} ")


GROUP = typer.main.get_command(application.app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = dict(commands(GROUP))
COMMON_HEADING = "Commands"


def parameters(command: Any) -> dict[str, Any]:
    """Every visible parameter of a command: an argument by its name, an option by its longest flag."""
    every = command.get_params(typer.Context(command))
    return {max(parameter.opts, key=len): parameter for parameter in every if not parameter.hidden}


def documented(heading: str) -> dict[str, str]:
    """Argument or option -> its row's default, of the table under a heading."""
    rows = [row for table in tables(PAGE) if table.heading == heading for row in table.rows]
    return {quoted(row[0])[0]: row[1] for row in rows}


def test_every_command_has_its_section_and_no_other_has() -> None:
    sections = {heading.removeprefix("labctl ") for heading in headings(PAGE) if heading.startswith("labctl ")}
    assert sections == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_arguments_and_options_are_those_of_the_command(name: str) -> None:
    assert set(documented(f"labctl {name}")) | {"--help"} == set(parameters(COMMANDS[name]))


def test_common_options_are_those_of_the_program() -> None:
    assert set(documented(COMMON_HEADING)) == set(parameters(GROUP))


def required_and_optional() -> Iterator[tuple[str, str]]:
    for name, command in COMMANDS.items():
        for option in parameters(command):
            if option != "--help":
                yield name, option


@pytest.mark.parametrize(("name", "option"), list(required_and_optional()))
def test_a_default_is_the_one_of_the_program(name: str, option: str) -> None:
    said, parameter = documented(f"labctl {name}")[option], parameters(COMMANDS[name])[option]
    if parameter.required:
        assert said == "required"
    elif parameter.default is False:
        assert said == "off"
    elif parameter.default is not None:
        assert said == str(parameter.default)
    else:
        assert said not in ("required", "off")


def test_every_exit_status_is_explained() -> None:
    (table,) = [t for t in tables(PAGE) if t.heading == "Exit status"]
    explained = {int(row[0]) for row in table.rows}
    told = {int(number) for number in re.findall(r"\b(\d+) [a-z]", application.__doc__ or "")}
    assert explained == told


def lines_of_commands() -> Iterator[tuple[str, str]]:
    """Every line of a shell block that runs one of our programs."""
    for page in [*PAGES, *DOORS]:
        for block in blocks(page):
            if block.language in ("sh", "console"):
                for line in block.text.splitlines():
                    command = line.removeprefix("$ ")
                    if re.match(r"labctl |python -m labctl", command):
                        yield name_of(page), command


def name_in(words: list[str]) -> str:
    """The whole name of the command that a line runs."""
    at = next(index for index, word in enumerate(words) if word in COMMANDS)
    whole = " ".join(words[at : at + 2])
    return whole if whole in COMMANDS else words[at]


@pytest.mark.parametrize(("page", "command"), list(lines_of_commands()))
def test_a_command_that_is_shown_exists_with_its_options(page: str, command: str) -> None:
    words = shlex.split(command, comments=True)
    options = {word for word in words if word.startswith("--")}
    if words[0] == "labctl":
        assert options <= set(parameters(COMMANDS[name_in(words)])) | set(parameters(GROUP))
    else:
        source = {"labctl.bus": broker, "labctl.record": recorder, "labctl.drill": drill}[words[2]].__file__
        assert source is not None
        assert options <= set(re.findall(r'add_argument\("(--[a-z]+)"', Path(source).read_text("utf-8")))
