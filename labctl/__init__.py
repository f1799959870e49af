"""labctl runs a battery laboratory: a protocol file becomes a plan, a plan drives instruments, readings reach the database."""

__version__ = "0.1.0"
