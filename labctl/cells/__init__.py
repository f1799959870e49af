"""Cells as objects: their files beside config.toml, their history across runs and instruments, their mass now."""
