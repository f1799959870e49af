"""Loadstar DI-100/DI-1000 load cell interface: a load cell."""
