"""The command line: one file a command. Nothing heavy is imported before a command needs it."""

import sys


def main() -> None:
    """Run the command line and leave with its exit status."""
    from labctl.cli.app import run

    sys.exit(run())
