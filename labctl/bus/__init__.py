"""The bus: records, state and watermarks between processes, as JSON over MQTT 3.1.1 (docs/bus.md)."""
