"""Rehearsals: a plan run in virtual time on the simulators of its station; what it would do, take and store.

A simulation of a calibrated cell, not chemistry: it proves that a protocol does what was meant, not what a cell does.
"""

from labctl.rehearse.keeper import KeptStep
from labctl.rehearse.rehearsal import DISCLAIMER, Rehearsal, Rehearsing, rehearse

__all__ = ["DISCLAIMER", "KeptStep", "Rehearsal", "Rehearsing", "rehearse"]
