"""Load-cell transmitters on Modbus RTU, with their registers in config.toml: a load cell."""
