"""Modbus RTU: frames, registers, the client of drivers and the server of simulators."""
