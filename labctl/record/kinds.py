"""What the events say that storage acts on; checked here, because they come over the bus."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from labctl.bus.codec import LAST_INSTANT, Malformed, explain
from labctl.reading import Event, RunHeader, RunState

_Count = Annotated[int, Field(ge=0, lt=2**53)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True)


class Gap(_Data):
    """`gap`: numbers that will never come: burnt by a torn journal, before its own, or damaged, up to its own."""

    first: _Count
    last: _Count


class StepStarted(_Data):
    """`step.started`."""

    step_count: _Count
    step_id: _Count
    name: str
    verb: str
    cycle_count: _Count


class StepEnded(_Data):
    """`step.ended`."""

    step_count: _Count
    reason: str


class RunEnded(_Data):
    """`run.ended`."""

    state: RunState
    reason: str = ""

    @field_validator("state")
    @classmethod
    def _is_an_end(cls, state: RunState) -> RunState:
        if state is RunState.RUNNING:
            raise ValueError("a run does not end running")
        return state


Data = TypeVar("Data", bound=_Data)


def read(model: type[Data], event: Event) -> Data:
    """Return what an event says; raises Malformed."""
    try:
        return model.model_validate(event.data)
    except ValidationError as error:
        raise Malformed(explain(error)) from None


def read_header(event: Event) -> RunHeader:
    """Return what `run.started` says; raises Malformed."""
    try:
        header = _HEADER.validate_python(event.data)
    except ValidationError as error:
        raise Malformed(explain(error)) from None
    if not 0.0 <= header.started_unix_second <= LAST_INSTANT:
        raise Malformed("started_unix_second: this is no date")
    return header


_HEADER = TypeAdapter(RunHeader)
