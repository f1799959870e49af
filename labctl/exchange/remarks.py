"""What a conversion could not carry over, each with its place: nothing is lost silently."""

from labctl.errors import Finding, Place


class Remarks:
    """The findings of one conversion.

    A note is of something left behind that touches no cell; a warning of something that a person has to see to, and an
    error of something without which the result is not to be used.
    """

    def __init__(self, name: str, other: str) -> None:
        self.other = other
        """What the sentences call the world on the other side."""
        self._name = name
        self._all: dict[Finding, None] = {}

    @property
    def all(self) -> tuple[Finding, ...]:
        """Every finding, in the order of the file."""
        return tuple(sorted(self._all, key=lambda finding: (finding.place.line, finding.place.column)))

    @property
    def failed(self) -> bool:
        """Whether something essential cannot be said."""
        return any(finding.severity == "error" for finding in self._all)

    def note(self, place: Place | None, reason: str, remedy: str = "") -> None:
        """Note what is left behind and touches no cell."""
        self._note("dropped", place, reason, remedy, "note")

    def dropped(self, place: Place | None, reason: str, remedy: str = "") -> None:
        """Note what is left behind, and a person has to see to."""
        self._note("dropped", place, reason, remedy, "warning")

    def impossible(self, place: Place | None, reason: str, remedy: str) -> None:
        """Note what the other side cannot say, and without what it would be another experiment."""
        self._note("inexpressible", place, reason, remedy, "error")

    def missing(self, place: Place | None, reason: str, remedy: str) -> None:
        """Note what a labctl protocol has to say and the file does not."""
        self._note("missing", place, reason, remedy, "error")

    def place(self, line: int, column: int, text: str = "") -> Place:
        """Return a place in the file."""
        return Place(self._name, line, column, text=text)

    def _note(self, code: str, place: Place | None, reason: str, remedy: str, severity: str) -> None:
        self._all[Finding(code, place or self.place(1, 1), reason, remedy, severity)] = None
