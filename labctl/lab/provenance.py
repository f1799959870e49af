"""The record of where the protocol of a run came from; it is no part of what the protocol means."""

from collections.abc import Sequence
from dataclasses import asdict

from labctl.clock import LabClock
from labctl.protocol.provenance import Provenance
from labctl.reading import Event
from labctl.record.queries import EventRow

KIND = "run.protocol"


def recorded(provenance: Provenance, clock: LabClock) -> Event:
    """Return the event that keeps it."""
    return Event(KIND, clock.unix(), 0.0, provenance.sentence, data=asdict(provenance))


def of_run(events: Sequence[EventRow]) -> Provenance | None:
    """Return what the events of a run say of it; None where nothing was recorded."""
    for event in events:
        if event.kind == KIND and isinstance(event.data, dict):
            said = event.data
            return Provenance(str(said["name"]), str(said["folder"]), said.get("commit"), said.get("modified"))
    return None
