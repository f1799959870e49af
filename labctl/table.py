"""The base of every table of a TOML file that people write: protocols, cells, campaigns, config.toml."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A table: unknown keys are refused, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)
