"""The library of papers against their results: each set rehearsed on simulated stations, paper beside run, row by row.

It proves that software does what the papers did; it proves nothing about chemistry.
"""

from labctl.reproduce.judge import Judged, Verdict, judge
from labctl.reproduce.perform import Prepared, prepare
from labctl.reproduce.table import Basis, Row, Set, acceptance

__all__ = ["Basis", "Judged", "Prepared", "Row", "Set", "Verdict", "acceptance", "judge", "prepare"]
