"""JSON Schema of the files that people write, for completion and help in an editor; as labctl reads them, not stricter.

Descriptions are the docstrings of the models, examples those of their fields.
"""

import ast
import inspect
import json
import sys
import tomllib
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from labctl.protocol.order import STEP_FORMS
from labctl.protocol.verbs import ProtocolFile
from labctl.table import written_keys

PLACEHOLDER = {"type": "string", "pattern": r"^\{\w+\}$", "description": "An input, or a key of a `for` around this."}
_LITERAL = ("Head", "Input")
"""Tables in which nothing is filled in."""


def protocol_schema() -> dict[str, Any]:
    """Return the schema of a protocol file, what unfolds to plain steps included."""
    schema = schema_of(ProtocolFile)
    steps = schema["$defs"]
    for form in STEP_FORMS.values():
        more = schema_of(form)
        steps |= more.pop("$defs", {})
        steps.setdefault(form.__name__, {key: more[key] for key in more if key != "$schema"})
    each = {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in steps if name.endswith("Step")]}
    steps["Step"] = each
    some = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Step"}}
    for name, table in [*steps.items(), ("", schema)]:
        for key in ("do", "else", "step"):
            if key in table.get("properties", {}) and name != "Step":
                table["properties"][key] = some
    definitions = {"type": "object", "additionalProperties": some, "description": "[define]: lists of steps by name."}
    schema["properties"]["define"] = definitions
    for name, table in steps.items():
        if name not in _LITERAL:
            _with_placeholders(table)
    return schema


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a file whose tables are these."""
    schema = model.model_json_schema(schema_generator=_Generator, by_alias=True)
    return {"$schema": _Generator.schema_dialect, **schema}


class _Generator(GenerateJsonSchema):
    """Adds what an editor shows, and leaves out what TOML does not have."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        table: type[BaseModel] = schema["cls"]
        said = _docstrings(table)
        made.pop("title", None)
        for name, field in table.model_fields.items():
            names = [key for key, each in written_keys(table) if each is field]
            shown = made.get("properties", {}).get(names[0])
            if shown is None:
                continue
            texts = [said.get(name) or _purpose(table, names[0]), str(shown.get("description", ""))]
            shown |= {"description": text} if (text := "\n\n".join(filter(None, texts))) else {}
            if field.examples:
                shown["examples"] = [_as_json(each) for each in field.examples]
            made["properties"] |= dict.fromkeys(names, shown)
        return made

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = self.generate_inner(schema["schema"])
        default = schema.get("default")
        written = isinstance(default, str) if made.get("type") == "string" else isinstance(default, bool | int | float)
        return {**made, "default": default} if written and default != "" else made

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _as_json(example: object) -> object:
    """Turn an example as it stands in a file into JSON; what it has no form for, such as a date, into text."""
    return json.loads(json.dumps(tomllib.loads(f"x = {example}")["x"], default=str))


def _purpose(table: type[BaseModel], name: str) -> str:
    """Return what the verb of a step is for: the docstring of its class stands at the key that a person types."""
    verb = next((verb for verb, form in STEP_FORMS.items() if form is table), None)
    return inspect.getdoc(table) or "" if name == verb else ""


def _docstrings(table: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings below the fields of a class and of those that it derives from."""
    said: dict[str, str] = {}
    for each in reversed(table.__mro__):
        if issubclass(each, BaseModel) and each is not BaseModel:
            said |= _of_module(each.__module__).get(each.__name__, {})
    return said


@cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    """Return the docstrings below the fields of every class of a module."""
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    said: dict[str, dict[str, str]] = {}
    for made in tree.body:
        if isinstance(made, ast.ClassDef):
            for field, text in pairwise(made.body):
                match field, text:
                    case ast.AnnAssign(target=ast.Name(id=key)), ast.Expr(value=ast.Constant(value=str(words))):
                        said.setdefault(made.name, {})[key] = inspect.cleandoc(words)
    return said


def _with_placeholders(table: dict[str, Any]) -> None:
    """Let an input stand for a count, for a word of a closed list, and in a name; quantities are texts already."""
    for key, value in table.get("properties", {}).items():
        value.pop("pattern", None)
        table["properties"][key] = _or_placeholder(value)


def _or_placeholder(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("type") == "integer" or "enum" in value:
        said: dict[str, Any] = {key: value[key] for key in ("description", "default", "examples") if key in value}
        return {"anyOf": [{k: v for k, v in value.items() if k not in said}, PLACEHOLDER], **said}
    return value
