"""Climate chambers and temperature controllers on Modbus RTU, with named register maps: a thermostat."""
