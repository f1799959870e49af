"""Search for a file that the protocol language does not stand: python -m tests.fuzz --seconds 600 --seed 7."""

import argparse
import faulthandler
import sys

from labctl.clock import host_monotonic

from .language import search, seeds

HANG = 60.0
"""s without any end of one file after which its stack is printed."""


def main() -> int:
    """Search for so long, and print the first file that breaks, made short; 1 where there is one."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    end = host_monotonic() + asked.seconds

    def over() -> bool:
        faulthandler.dump_traceback_later(HANG, exit=True)
        return host_monotonic() > end

    found = search(asked.seed, sys.maxsize, seeds(), over)
    faulthandler.cancel_dump_traceback_later()
    print(f"{found.tried} files, {found.plans} plans, {found.lines} lines, {len(found.kept)} kept, seed {asked.seed}")
    if found.broken is not None:
        print(f"{found.broken[1]}\n\n{found.broken[0]}")
    return found.broken is not None


if __name__ == "__main__":
    sys.exit(main())
