"""Simulation: physics of cell, rig, room and sensors, and the host that serves simulated instruments on real wires."""
