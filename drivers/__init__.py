"""Instrument drivers that ship with labctl; each is found through its entry point, never imported by name."""
