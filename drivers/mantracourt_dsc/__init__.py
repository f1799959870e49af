"""Mantracourt DSC/DCell strain gauge digitiser: a load cell."""
