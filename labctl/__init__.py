"""labctl runs a battery laboratory: from a protocol file over instruments to the database."""

__version__ = "0.1.0"
