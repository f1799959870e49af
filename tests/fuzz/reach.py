"""Which lines of some modules a call reaches, so that a search can keep the inputs that reach new ones.

The standard library's tracer, made bearable: a function whose every line was reached is not looked into any more.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

Line = tuple[CodeType, int]
Tracer = Callable[[FrameType, str, Any], Any]


class Reach:
    """The lines reached so far of modules whose file name contains one of some words."""

    def __init__(self, *within: str) -> None:
        self.lines: set[Line] = set()
        self._within = within
        self._left: dict[CodeType, set[int]] = {}
        """Lines not reached yet, of each function that was entered; none of one that is of no interest."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note what is reached inside."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, _event: str, _arg: Any) -> Tracer | None:
        code = frame.f_code
        left = self._left.get(code)
        if left is None:
            wanted = any(word in code.co_filename for word in self._within)
            left = self._left[code] = {line for *_, line in code.co_lines() if line is not None} if wanted else set()
        return self._step if left else None

    def _step(self, frame: FrameType, event: str, _arg: Any) -> Tracer:
        if event == "line":
            code = frame.f_code
            self.lines.add((code, frame.f_lineno))
            self._left[code].discard(frame.f_lineno)
        return self._step
