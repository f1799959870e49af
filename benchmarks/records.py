"""A run's first record, where a benchmark feeds the journal itself."""

from dataclasses import asdict

from labctl import __version__
from labctl.reading import Event, RunHeader


def started(run: str, station: str) -> Event:
    """Return `run.started` of a simulated run without a protocol."""
    header = RunHeader(
        run=run,
        station=station,
        protocol_name="benchmark",
        protocol_title="",
        protocol_text="",
        protocol_hash="",
        cell_name="",
        cell={},
        operator="",
        instruments={},
        config={},
        inputs={},
        software_version=__version__,
        simulated=True,
        seed=1,
        started_unix_second=0.0,
    )
    return Event("run.started", 0.0, 0.0, "", data=asdict(header))
