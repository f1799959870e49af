"""JULABO circulator as thermostat."""
