"""The search finds nothing in the language, and finds what is put there."""

import sys
from dataclasses import replace

import pytest

from labctl import quantity
from labctl.plan import Bound, Limits
from labctl.protocol import limits

from . import language
from .language import Broken, judge, search, seeds
from .reach import Reach

SMALL = language.HEAD + 'charge = "C/10"\nuntil = "4.3 V"\ntimeout = "20 h"\n'


@pytest.mark.timeout(110)
def test_no_file_does_what_none_may_do() -> None:
    found = search(5, 130, seeds()[::2])
    assert found.broken is None, found.broken
    assert found.plans > 10
    assert found.kept


def test_a_file_that_is_right_is_a_plan_and_one_that_is_not_is_none() -> None:
    assert judge(SMALL) is not None
    assert judge(SMALL.replace("4.3 V", "4.3")) is None


def test_a_traceback_is_found_and_its_file_made_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """No seed has a unit that there is not."""

    def broken(*_: object) -> bool:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(quantity, "_wrong_unit", broken)
    found = search(1, 300, [SMALL, "# a line that is not needed\n" + SMALL])
    assert found.broken is not None
    assert found.broken[1] == "ZeroDivisionError: planted"
    assert "a line" not in found.broken[0]


def test_what_is_reached_is_told_line_by_line() -> None:
    def two_ways(left: bool) -> int:
        if left:
            return 1
        return 2

    reach, seen = Reach("test_language"), []
    for left in (True, True, False, False):
        with reach.watching():
            two_ways(left)
        seen.append(len(reach.lines))
    assert seen == [2, 2, 3, 3]


def test_a_lost_limit_is_a_plan_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    right = limits.of_run

    def forgetful(*given: object) -> Limits:
        return replace(right(*given), temperature=Bound(5.0, 80.0))  # type: ignore[arg-type]

    monkeypatch.setattr(limits, "of_run", forgetful)
    with pytest.raises(Broken, match=r"limits\.temperature is .* in the file and Bound"):
        judge(SMALL)


def test_a_lost_step_is_a_plan_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = sys.modules["labctl.protocol.bind"]._Tree
    right = tree._list
    monkeypatch.setattr(tree, "_list", lambda self, steps, scope, path: right(self, steps[:1], scope, path))
    with pytest.raises(Broken):
        judge(SMALL + '[[step]]\nrest = "1 h"\n')
