"""`labctl schema`: the JSON Schema of the files that people write, for editors."""

from enum import StrEnum
from typing import Annotated

import typer


class Kind(StrEnum):
    """The files that have a schema."""

    PROTOCOL = "protocol"
    CELL = "cell"
    CAMPAIGN = "campaign"
    CONFIG = "config"


def schema(
    kind: Annotated[Kind, typer.Argument(help="Of which file.")] = Kind.PROTOCOL,
) -> None:
    r"""Print the JSON Schema of a protocol, a cell or campaign file or config.toml, for completion in an editor.

    \b
    Examples:
      labctl schema > protocol.schema.json
      labctl schema config > config.schema.json
    """
    import json

    from labctl.campaign.file import campaign_schema
    from labctl.config import config_schema
    from labctl.protocol.model import CellFile
    from labctl.protocol.schema import protocol_schema, schema_of

    makers = {
        Kind.PROTOCOL: protocol_schema,
        Kind.CELL: lambda: schema_of(CellFile),
        Kind.CAMPAIGN: campaign_schema,
        Kind.CONFIG: config_schema,
    }
    typer.echo(json.dumps(makers[kind](), ensure_ascii=False, indent=2))
