"""The page of the configuration and its models say the same: every key, and its default."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from labctl import config, settings
from labctl.registry import driver_names, load_driver
from labctl.sim.bench import BenchParameters
from labctl.sim.presets import CellChoice
from labctl.sim.rig import PressParameters, RigParameters
from labctl.sim.room import RoomParameters
from labctl.tui.app import binding_ids
from labctl.tui.keys import checked

from .pages import DOCS, ROOT, blocks, quoted, tables

PAGE = DOCS / "reference" / "configuration.md"
MODELS: dict[str, type[BaseModel]] = {
    "The file": config._File,
    "[lab]": settings.LabConfig,
    "[bus]": settings.BusConfig,
    "[storage]": settings.StorageConfig,
    "[protocols]": settings.ProtocolsConfig,
    "[tui]": settings.TuiConfig,
    "[alerts]": settings.AlertsConfig,
    "[alerts.mail]": settings.MailConfig,
    "[alerts.webhook]": settings.WebhookConfig,
    "[station.NAME]": config.StationConfig,
    "An instrument": config.InstrumentConfig,
    "[station.NAME.spring]": config.SpringConfig,
    "[station.NAME.limits]": config.StationLimits,
    "[station.NAME.warnings]": config.WarningMargins,
    "[station.NAME.disagreement]": config.DisagreementLimits,
    "[station.NAME.frame]": config.FrameConfig,
    "[station.NAME.simulation]": BenchParameters,
    "simulation.cell": CellChoice,
    "simulation.rig, a screw": RigParameters,
    "simulation.rig, a press": PressParameters,
    "simulation.room": RoomParameters,
    **{name: load_driver(name).options for name in driver_names()},
}


def documented(heading: str) -> dict[str, str]:
    rows = [row for table in tables(PAGE) if table.heading == heading for row in table.rows]
    return {quoted(row[0])[0]: row[1] for row in rows}


def keys(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


@pytest.mark.parametrize("heading", MODELS)
def test_the_keys_are_those_of_the_model(heading: str) -> None:
    assert set(documented(heading)) == set(keys(MODELS[heading]))


def test_every_other_section_is_known() -> None:
    sections = {table.heading for table in tables(PAGE)} - {"Environment"}
    assert sections == set(MODELS)


@pytest.mark.parametrize(("heading", "key"), [(heading, key) for heading in MODELS for key in keys(MODELS[heading])])
def test_a_default_is_the_one_of_the_model(heading: str, key: str) -> None:
    said, field = documented(heading)[key], keys(MODELS[heading])[key]
    if field.is_required():
        assert said == "required"
    elif said.startswith("`"):
        (written,) = tomllib.loads(f"value = {quoted(said)[0]}").values()
        assert as_lists(field.default) == written
    else:
        assert field.default is None or isinstance(field.default, BaseModel)


def as_lists(value: object) -> object:
    """Tuples as TOML would say them."""
    return [as_lists(one) for one in value] if isinstance(value, tuple) else value


def test_the_keys_of_the_dashboards_page_are_possible(tmp_path: Path) -> None:
    (shown,) = [b.text for b in blocks(DOCS / "how-to" / "use-the-dashboard.md") if b.language == "toml"]
    file = tmp_path / "config.toml"
    file.write_text((ROOT / "config.toml").read_text("utf-8") + shown, "utf-8")
    keys = settings.load_settings(file).tui.keys
    assert keys
    assert checked(keys, binding_ids()) == keys


def test_the_configuration_of_alerts_is_one(tmp_path: Path) -> None:
    (shown,) = [b.text for b in blocks(DOCS / "how-to" / "alerts.md") if b.language == "toml"]
    file = tmp_path / "config.toml"
    file.write_text((ROOT / "config.toml").read_text("utf-8") + shown, "utf-8")
    alerts = settings.load_settings(file).alerts
    assert (alerts.mail is not None, alerts.webhook is not None) == (True, True)


def test_the_configuration_for_separate_processes_is_one(tmp_path: Path) -> None:
    (shown,) = [b.text for b in blocks(DOCS / "how-to" / "run-separate-processes.md") if b.language == "toml"]
    stations = re.sub(r"(?s)\[bus\].*?(?=\[station)", "", (ROOT / "config.toml").read_text("utf-8"))
    file = tmp_path / "config.toml"
    file.write_text(stations + shown, "utf-8")
    loaded = config.load(file)
    assert (loaded.bus.broker, loaded.storage.recorder) == ("mqtt://127.0.0.1:1883", "separate")


def test_the_configurations_for_a_site_are_some(tmp_path: Path) -> None:
    shown = [b.text for b in blocks(DOCS / "how-to" / "site.md") if b.language == "toml"]
    stations = re.sub(r"(?s)\[bus\].*?(?=\[)", "", (ROOT / "config.toml").read_text("utf-8"))
    file, brokers = tmp_path / "config.toml", []
    for text in shown:
        file.write_text(stations + text, "utf-8")
        brokers.append(config.load(file).bus.broker)
    assert brokers == ["/etc/labctl/daemon.json", "mqtts://anna@lab-pc.example.org:8883"]
