"""Reads `--set name=value`."""

import typer


def assignments(written: list[str]) -> dict[str, str]:
    """Split each `name=value`; raises BadParameter for what is none."""
    values: dict[str, str] = {}
    for one in written:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f'"{one}" is not name=value; write for example --set cycles=3')
        values[name.strip()] = value.strip()
    return values
