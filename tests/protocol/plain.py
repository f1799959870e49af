"""A protocol written out: all that unfolds is unfolded, as the tree of a TOML file that does the same."""

from collections.abc import Mapping

from labctl.errors import ProtocolError
from labctl.protocol.inputs import choose
from labctl.protocol.load import in_order
from labctl.protocol.source import Source
from labctl.protocol.unfold import unfold

_NEEDLESS = ("inputs",)


def plain(source: Source, settings: Mapping[str, str]) -> dict[str, object]:
    """Return a protocol whose inputs are set so, written out: plain tables, lists, texts, counts and truths.

    What was one step and became several is a `repeat` of one pass; its `name` says what it was.

    Raises:
        ProtocolError: something in it cannot be unfolded.
    """
    values, findings = choose(source, settings)
    unfolding = unfold(source, values)
    findings += unfolding.findings
    if unfolding.data is None or findings:
        raise ProtocolError(in_order(findings))
    written = {key: _written(value) for key, value in unfolding.data.items() if key not in _NEEDLESS}
    if not written.get("attached"):
        written.pop("attached", None)
    return written


def _written(value: object) -> object:
    """Return a value as a file has it: braces stand for themselves no longer."""
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, list):
        return [_written(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "part" in value and "repeat" in value:
        value = {"name": value["part"], **{key: item for key, item in value.items() if key != "part"}}
    if isinstance(value.get("for"), dict):
        value = _in_a_row(value)
    return {key: _written(item) for key, item in value.items()}


def _in_a_row(step: dict[str, object]) -> dict[str, object]:
    """Return the steps of every combination of a `for`, one after another."""
    axes, bodies = step["for"], step["do"]
    assert isinstance(axes, dict)
    assert isinstance(bodies, list)
    name = step.get("name", f"for {', '.join(axes)}")
    return {"name": name, "repeat": 1, "counts": "none", "do": [each for body in bodies for each in body]}
