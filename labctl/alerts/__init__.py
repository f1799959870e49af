"""Alerts: what happens to alarms is told on the bus and, where config.toml says so, by mail and to a webhook."""
