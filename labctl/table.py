"""The base of every table of a TOML file that people write: protocols, cells, campaigns, config.toml."""

from collections.abc import Iterator

from pydantic import AliasChoices, BaseModel, ConfigDict
from pydantic.fields import FieldInfo


class Model(BaseModel):
    """A table: unknown keys are refused, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def written_keys(table: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the keys that a table may have, as they are written, with their fields; aliases included."""
    for name, field in table.model_fields.items():
        alias = field.validation_alias
        for key in alias.choices if isinstance(alias, AliasChoices) else (alias or name,):
            yield str(key), field
