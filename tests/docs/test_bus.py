"""The page of the bus says every key of commands, replies and states, and its examples are messages."""

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from labctl import api
from labctl.client import Lab

from .pages import DOCS, blocks, quoted

PAGE = DOCS / "bus.md"
WORDS = {word for line in PAGE.read_text("utf-8").splitlines() for word in quoted(line)}
EXAMPLES = [json.loads(block.text) for block in blocks(PAGE) if block.language == "json"]
ACTIONS: tuple[type[BaseModel], ...] = get_args(get_args(api.Action)[0])


def inside(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model and those of its fields."""
    yield model
    for field in model.model_fields.values():
        for part in (field.annotation, *get_args(field.annotation)):
            for one in (part, *get_args(part)):
                if isinstance(one, type) and issubclass(one, BaseModel):
                    yield from inside(one)


STATES = sorted({*inside(api.StationState), *inside(api.LabState), *inside(api.Alert)}, key=lambda model: model.__name__)


@pytest.mark.parametrize("model", [*STATES, *ACTIONS, api.Refusal, api.Bucketed], ids=lambda model: model.__name__)
def test_every_key_is_said(model: type[BaseModel]) -> None:
    keys = {field.alias or name for name, field in model.model_fields.items()}
    assert keys - {"schema", "do", "station"} <= WORDS


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__)
def test_every_action_is_said(action: type[BaseModel]) -> None:
    assert set(get_args(action.model_fields["do"].annotation)) <= WORDS


def test_every_word_of_a_station_is_said() -> None:
    (line,) = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `word` |")]
    assert all(word.value in line for word in api.Word)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (api.StationState, "values"),
        (api.LabState, "disk_free_byte"),
        (api.Alert, "change"),
        (api.Request, "action"),
        (api.Reply, "error"),
        (api.RecorderState, "quarantined"),
        (api.Alive, "alive"),
    ],
)
def test_the_examples_are_messages(model: type[BaseModel], key: str) -> None:
    shown: list[dict[str, Any]] = [
        *EXAMPLES,
        *(json.loads(word) for word in WORDS if word.startswith("{") and word.endswith("}")),
    ]
    examples = [example for example in shown if key in example]
    assert examples
    for example in examples:
        model.model_validate_json(json.dumps(example))


def test_the_page_of_python_says_all_that_a_client_has() -> None:
    text = (DOCS / "reference" / "python.md").read_text("utf-8")
    said = {word.strip("()").partition("(")[0].split(" ")[-1] for line in text.splitlines() for word in quoted(line)}
    methods = {name for name in dir(Lab) if not name.startswith("_")} - {"subscribe", "unsubscribe"}
    assert methods <= said | {"changed", "events"}
