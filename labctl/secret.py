"""Secrets that config.toml names and does not hold: "file:PATH" or "env:NAME". They reach no log, message or export."""

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from labctl.errors import LabctlError
from labctl.private import read_private
from labctl.quantity import WordingError


def _is_a_name(written: str) -> str:
    """Refuse what may be the secret itself, without repeating it."""
    if not re.fullmatch(r"file:.+|env:[A-Za-z_][A-Za-z0-9_]*", written):
        raise WordingError("this says not where the secret is, and must not be it", 'write "file:PATH" or "env:NAME"')
    return written


SecretName = Annotated[str, AfterValidator(_is_a_name)]
"""Where a secret is: "file:PATH", as seen from config.toml, or "env:NAME"."""


def reveal(name: str, folder: Path) -> str:
    """Return the secret that is meant by a name; read anew each time, so that it can be changed while we run.

    Args:
        folder: of config.toml, which a relative path begins at.

    Raises:
        LabctlError: it is not there, is empty, or others on this machine can read it.
    """
    kind, _, where = name.partition(":")
    if kind == "env":
        secret = os.environ.get(where, "")
        if not secret:
            raise LabctlError(f"The secret {name} is not in the environment.", f"Set {where} where labctl is started.")
        return secret
    path = folder / Path(where).expanduser()
    secret = read_private(path, "The secret").decode("utf-8", "replace").strip()
    if not secret:
        raise LabctlError(f"The secret {name} is empty.", "Write it into that file, and nothing else.")
    return secret
