"""Every example of the reference page does what the page says."""

import re
from pathlib import Path

import pytest

from labctl.errors import ProtocolError
from labctl.protocol import bind
from labctl.protocol.model import CellFile
from labctl.protocol.source import parse
from labctl.protocol.templates import WRITTEN
from labctl.protocol.verbs import CLASSES

from .files import HEAD, STATION, read, sentences

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "protocol.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
STEPS_ALONE = HEAD.removesuffix("[[step]]\n")


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs_or_is_refused_as_the_page_says(example: str) -> None:
    refused = re.match(r"# refused: (.*)\n", example)
    if refused:
        assert [told.split(": ", 1)[1] for told in sentences(STEPS_ALONE + example)] == [refused[1]]
    elif "[protocol]" in example:
        assert bind(read(example), STATION).body
    elif example.startswith("schema"):
        assert CellFile.model_validate(parse("cell.toml", example, ProtocolError).data)
    else:
        assert sentences(STEPS_ALONE + example) == []


@pytest.mark.parametrize("verb", [*CLASSES, *WRITTEN])
def test_the_page_names_every_verb(verb: str) -> None:
    assert re.search(rf"`{verb}`|\b{verb}\b", PAGE)
