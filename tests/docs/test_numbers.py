"""Numbers that the explanations quote are those of the code."""

import pytest

from labctl.bus.outbox import BATCH, PATIENCE
from labctl.engine.guard import MEASUREMENTS_TO_TRIP
from labctl.engine.station import POLLS_TO_SILENCE, SAFE_ATTEMPTS, SAFE_RETRY, SHORTEST_AGE
from labctl.lab.recording import BACKLOG
from labctl.record.datapath import FLUSH_PERIOD
from labctl.registry import load_driver

from .pages import DOCS

WATCHDOG = load_driver("dynamixel-x").example_options({}).model_dump()["watchdog"]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("safety", f"in {MEASUREMENTS_TO_TRIP} measurements in a row"),
        ("safety", f"{POLLS_TO_SILENCE} polls, at least {SHORTEST_AGE:g} s: here {POLLS_TO_SILENCE} s"),
        ("safety", f"up to {SAFE_ATTEMPTS} times, {SAFE_RETRY:g} s apart"),
        ("safety", f"{SAFE_ATTEMPTS} attempts, each within the link's time-out, {SAFE_RETRY:g} s apart"),
        ("safety", f"{WATCHDOG:g} s by default (`watchdog`)"),
        ("time", f"when {BACKLOG[0]} records wait for the database, it stands still until there are {BACKLOG[1]}"),
        ("exactly-once", f"fsynced every {FLUSH_PERIOD * 1e3:g} ms"),
        ("exactly-once", f"at most {BATCH} in a message"),
        ("exactly-once", f"has stood still for {PATIENCE:g} s"),
    ],
)
def test_a_quoted_number_is_the_one_in_the_code(page: str, words: str) -> None:
    text = (DOCS / "explanation" / f"{page}.md").read_text("utf-8")
    assert words in " ".join(text.split())
