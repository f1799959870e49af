"""The page of errors shows the tree of exceptions as it is."""

import importlib
import pkgutil

import labctl
from labctl.errors import LabctlError

from .pages import DOCS, quoted, tables


def family(error: type[LabctlError]) -> dict[str, tuple[str, int, str]]:
    """Name -> base, exit status, module, of an error and everything beneath it."""
    base = "" if error is LabctlError else error.__bases__[0].__name__
    members = {error.__name__: (base, error.exit_code, error.__module__)}
    for child in error.__subclasses__():
        if child.__module__.startswith("labctl."):
            members |= family(child)
    return members


def test_the_table_is_the_tree() -> None:
    for module in pkgutil.walk_packages(labctl.__path__, "labctl."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    (table,) = tables(DOCS / "reference" / "errors.md")
    said = {}
    for name, base, status, meaning in table.rows:
        modules = [word for word in quoted(meaning) if word.startswith("labctl.")]
        said[quoted(name)[0]] = ("".join(quoted(base)), int(status), modules[0] if modules else "labctl.errors")
    assert said == family(LabctlError)
