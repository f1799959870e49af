"""Trinamic (Analog Devices) TMCM servo modules on a screw, over TMCL: a pressure rig."""
