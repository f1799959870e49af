"""Collects everything wrong with a protocol while it is bound, so that one go tells all of it."""

from dataclasses import dataclass

from labctl.errors import MOST_FINDINGS, Finding
from labctl.protocol.source import KeyPath, Source

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


class Refused(Exception):
    """One thing is wrong here; caught where its place is known."""

    def __init__(self, code: str, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.remedy = remedy


class Findings:
    """The findings of one file."""

    def __init__(self, source: Source) -> None:
        self.all: list[Finding] = []
        self._source = source

    def refuse(self, path: KeyPath, code: str, reason: str, remedy: str) -> None:
        """Note what is wrong with the value at `path`; a `for` says it once, not once a value."""
        finding = Finding(code, self._source.value(path), reason, remedy)
        if len(self.all) < MOST_FINDINGS and finding not in self.all:
            self.all.append(finding)

    def at(self, path: KeyPath) -> "_At":
        """Note what is refused inside as wrong at `path`, and go on after it."""
        return _At(self, path)

    def line(self, path: KeyPath) -> int:
        """Return the line on which the value at `path` stands."""
        return self._source.line(path)


@dataclass(frozen=True, slots=True)
class _At:
    """Swallows a refusal, for it is noted; everything else goes on its way."""

    findings: Findings
    path: KeyPath

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Refused):
            self.findings.refuse(self.path, error.code, error.reason, error.remedy)
            return True
        return False


def humane(value: float, unit: str) -> str:
    """Write an SI value as people do: 0.000157 A is "157 µA"."""
    if unit == "degC" or value == 0:
        return f"{value:.4g} {unit}"
    factor, prefix = next((p for p in _PREFIXES if abs(value) >= p[0] * 0.99995), _PREFIXES[-1])
    return f"{value / factor:.4g} {prefix}{unit}"
