"""`labctl drivers`: what instruments this installation can drive."""

from typing import Annotated

import typer

from labctl.cli.context import console, print_json


def drivers(json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List the installed drivers, what protects the cell in each, and whether anyone has tried it on hardware.

    Example: labctl drivers
    """
    from labctl.registry import driver_names, load_driver

    found = [load_driver(name) for name in driver_names()]
    if json:
        print_json(
            {
                "drivers": [
                    {
                        "name": driver.name,
                        "role": driver.role.value,
                        "summary": driver.summary,
                        "limits_in": driver.features.limits.value,
                        "steps_in": driver.features.steps.value,
                        "watchdog": driver.features.watchdog,
                        "takeover": driver.features.takeover,
                        "self_locking": driver.features.self_locking,
                        "tried_on_hardware": driver.features.tried_on_hardware,
                    }
                    for driver in found
                ]
            }
        )
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Driver", "Role", "Limits in", "Steps in", "Watchdog", "Takeover", "On hardware"):
        table.add_column(column, no_wrap=True)
    for driver in found:
        features = driver.features
        table.add_row(
            driver.name,
            driver.role.replace("_", " "),
            features.limits.value,
            features.steps.value,
            "yes" if features.watchdog else "no",
            "yes" if features.takeover else "no",
            "tried" if features.tried_on_hardware else "untested",
        )
    console().print(table)
