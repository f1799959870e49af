"""`python -m labctl` is the command `labctl`."""

from labctl.cli import main

main()
