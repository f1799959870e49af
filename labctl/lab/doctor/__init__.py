"""The doctor: examines installation, machine, bus, instruments and database, and says what to do where it hurts."""
