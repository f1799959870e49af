"""ESPEC chambers with a P-300 or SCP-220 controller: a thermostat."""
