"""The page of the database shows the tables as they are."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from labctl.record.schema import connect

from .pages import DOCS, quoted, tables

TABLES = {table.heading: table for table in tables(DOCS / "reference" / "database.md")}
OF_MIGRATIONS = "_sqlite_migrations"


@pytest.fixture
def schema(tmp_path: Path) -> dict[str, list[tuple[str, str]]]:
    with closing(connect(tmp_path / "empty.db")) as database:
        return {name: columns(database, name) for name in names(database)}


def names(database: sqlite3.Connection) -> list[str]:
    found = database.execute(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
    )
    return [name for (name,) in found if name != OF_MIGRATIONS]


def columns(database: sqlite3.Connection, table: str) -> list[tuple[str, str]]:
    return [(name, kind) for _, name, kind, *_ in database.execute(f"PRAGMA table_info({table})")]


def documented(table: str) -> list[tuple[str, str]]:
    """Columns in order; `name`, `_min`, `_max` in one cell stand for three."""
    found = []
    for cell, kind, _ in TABLES[table].rows:
        first, *suffixes = quoted(cell)
        found += [(first, kind), *((first + suffix, kind) for suffix in suffixes)]
    return found


def test_every_table_is_documented(schema: dict[str, list[tuple[str, str]]]) -> None:
    assert set(TABLES) == set(schema)


@pytest.mark.parametrize("table", TABLES)
def test_columns_and_types_are_those_of_the_table(table: str, schema: dict[str, list[tuple[str, str]]]) -> None:
    kinds = dict(documented(table))
    # What a view takes out of JSON has no declared type.
    assert {name: kind or kinds.get(name) for name, kind in schema[table]} == kinds
