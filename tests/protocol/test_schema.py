"""What editors get: our own files pass it, what is misspelt does not, and it is never stricter than labctl."""

import copy
import tomllib
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from labctl.campaign.file import campaign_schema
from labctl.config import config_schema
from labctl.protocol.model import CellFile
from labctl.protocol.order import STEP_FORMS
from labctl.protocol.schema import protocol_schema, schema_of
from tests.docs.pages import DOCS, ROOT, blocks

from .files import HEAD, LIBRARY

PROTOCOL = protocol_schema()
EXAMPLES = [block.text for block in blocks(DOCS / "reference" / "protocol.md") if block.language == "toml"]


def wrong(schema: dict[str, Any], text: str) -> list[str]:
    return [error.message for error in Draft202012Validator(schema).iter_errors(tomllib.loads(text))]


def test_they_are_schemas() -> None:
    for schema in (PROTOCOL, config_schema(), schema_of(CellFile), campaign_schema()):
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*/*.toml")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_library_passes(path: Any) -> None:
    assert wrong(PROTOCOL, path.read_text("utf-8")) == []


@pytest.mark.parametrize("text", [text for text in EXAMPLES if "# refused" not in text and "[[step]]" in text])
def test_the_examples_of_the_reference_page_pass(text: str) -> None:
    schema = copy.deepcopy(PROTOCOL)
    schema["required"] = []
    assert wrong(schema, text) == []


@pytest.mark.parametrize("kind", ["config", "cell", "campaign"])
def test_our_own_files_pass(kind: str) -> None:
    schema, files = {
        "config": (config_schema(), [ROOT / "config.toml"]),
        "cell": (schema_of(CellFile), sorted((ROOT / "cells").glob("*.toml"))),
        "campaign": (campaign_schema(), sorted((ROOT / "campaigns").glob("*.toml"))),
    }[kind]
    assert files
    assert [(path.name, found) for path in files if (found := wrong(schema, path.read_text("utf-8")))] == []


@pytest.mark.parametrize("line", ["replicates = 0", "replicate = 2", "cells = []", "vary = { rate = 5 }"])
def test_a_campaign_that_is_misspelt_does_not_pass(line: str) -> None:
    text = f'[campaign]\nprotocol = "rate"\n{line}\n' + ("" if "cells" in line else 'cells = ["a"]\n')
    assert wrong(campaign_schema(), text)


@pytest.mark.parametrize(
    "step",
    [
        'chagre = "C/10"\n',
        'charge = "C/10"\nrest = "1 h"\n',
        "charge = 5\n",
        'rest = "1 h"\nuntill = "1 h"\n',
        'repeat = 0\ndo = [{ rest = "1 h" }]\n',
        "repeat = 1\ndo = []\n",
        'temperature = "30 degC"\nof = "room"\n',
        'eis = { from = "1 MHz", amplitude = "10 mV rms" }\n',
        'eis = { from = "1 MHz", to = "1 Hz", amplitude = "10 mV rms", per_decade = 0 }\n',
    ],
)
def test_what_is_misspelt_does_not_pass(step: str) -> None:
    assert wrong(PROTOCOL, HEAD + step)


@pytest.mark.parametrize(
    "step",
    [
        'repeat = "{cycles}"\ncounts = "{how}"\ndo = [{ rest = "1 h" }]\n',
        'name = "at {rate}"\ncharge = "{rate}"\nuntil = { when = "4.3 V", then = "break" }\ntimeout = "1 h"\n',
        'pressure = { anode = "1 MPa", cathode = { by = "0.1 MPa" } }\n',
        'eis = { from = "{high}", to = "1 Hz", amplitude = "{sine} rms", per_decade = "{dense}", bias = "ocv" }\n',
        'geis = { from = "1 Hz", to = "1 kHz", amplitude = "0.1 mA/cm2 peak", bias = "-C/10" }\n',
    ],
)
def test_inputs_and_other_names_pass(step: str) -> None:
    assert wrong(PROTOCOL, HEAD + step) == []


def test_an_option_of_a_driver_is_known() -> None:
    text = (ROOT / "config.toml").read_text("utf-8").replace('capacity = "500 N"', "capacity = 500")
    assert wrong(config_schema(), text)


def test_every_verb_says_what_it_is_for() -> None:
    forms = {verb: PROTOCOL["$defs"][form.__name__]["properties"] for verb, form in STEP_FORMS.items()}
    assert all(properties[verb]["description"] for verb, properties in forms.items())
    assert forms["charge"]["charge"]["description"].startswith("Constant current into the positive terminal")
    assert forms["charge"]["until"]["description"].startswith("A condition that ends it")
    assert forms["cv"]["max_current"]["examples"] == ["1 mA"]
