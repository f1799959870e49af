"""The engine: walks a plan on a station. It meets instruments in their roles only."""
