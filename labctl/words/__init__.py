"""Protocols in sentences: what a file does, how two files differ, and what a paper says of it. Prints nothing."""
