"""The daemon: all stations of a configuration in one process that lives as long as the machine."""
