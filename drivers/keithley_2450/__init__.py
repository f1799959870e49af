"""Keithley 2450 SourceMeter as cycler."""
