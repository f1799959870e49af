"""Calibrations: what a torque or a reading of a load cell is worth in newtons, how surely, and until when."""
