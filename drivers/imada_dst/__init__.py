"""IMADA DST/DSV force gauge: a load cell."""
