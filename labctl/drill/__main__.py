"""`python -m labctl.drill`: a search over seeds, shrunk where it finds something; or one case again, from its file.

python -m labctl.drill search --seeds 1000 --first 0 --hours 10
python -m labctl.drill again FILE
"""

import argparse
import asyncio
import sys
from pathlib import Path
from random import SystemRandom

from labctl.drill.case import read, write
from labctl.drill.search import Verdict, judge, search, shrunk


def main() -> int:
    """Search, or live through one case; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m labctl.drill", description=__doc__.partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    searching = actions.add_parser("search", help="live through the laboratories of many seeds")
    searching.add_argument("--seeds", type=int, default=50, help="how many")
    searching.add_argument("--first", type=int, default=None, help="the first one; else it is drawn")
    searching.add_argument("--hours", type=float, default=1.0, help="of lab time, each")
    again = actions.add_parser("again", help="live through a case that a search has written")
    again.add_argument("file", type=Path)
    asked = parser.parse_args()
    if asked.action == "again":
        verdict = asyncio.run(judge(read(asked.file)))
        _say(f"{verdict.fingerprint} {verdict.records} records")
        _say_breaches(verdict)
        return 1 if verdict.breaches else 0
    first = SystemRandom().randrange(10**9) if asked.first is None else asked.first
    return asyncio.run(_search(range(first, first + asked.seeds), asked.hours))


async def _search(seeds: range, hours: float) -> int:
    def progress(verdict: Verdict) -> None:
        if verdict.breaches:
            _say_breaches(verdict)
        elif (verdict.case.seed - seeds.start) % 50 == 0:
            _say(f"seed {verdict.case.seed}: kept, {verdict.seconds:.1f} s")

    report = await search(seeds, hours, progress)
    rate = report.hours / report.seconds
    _say(
        f"{len(report.seeds)} laboratories (seeds {seeds.start} to {seeds.stop - 1}), {report.hours:g} h, "
        f"{report.faults} faults, {report.deaths} deaths, {report.records} records in {report.seconds:.0f} s "
        f"({rate:.2f} h/s); {len(report.failed)} broke a promise"
    )
    if report.failed:
        _say(write(await shrunk(report.failed[0])))
    return 1 if report.failed else 0


def _say_breaches(verdict: Verdict) -> None:
    for breach in verdict.breaches:
        _say(f"seed {verdict.case.seed}: {breach}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
