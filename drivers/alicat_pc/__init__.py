"""Alicat PC/PCD pressure controller: a gas regulator."""
