"""The operator's words to a run: what was said of the step under way, and what makes no sense now."""

from labctl.clock import LabClock, Signal
from labctl.errors import NotNow

THE_DISK = "the disk"
"""Who pauses a run while its journal cannot be written; whoever pauses it meanwhile takes that pause over."""


class Words:
    """What an operator wants; whoever carries out the step looks here whenever `heard` wakes it.

    Attributes:
        heard: wakes whoever carries out the step, for a word or for anything else that it waits for.
        paused: whether the cell is to stand at open circuit, its pressure frozen.
        who: whose the last pause or resumption was.
    """

    def __init__(self, clock: LabClock) -> None:
        self.heard: Signal[None] = Signal(clock)
        self.paused = False
        self.who = ""
        self._skip: tuple[int, str] | None = None
        """Count of the executed step that is to be skipped, and by whom: a step that ended by itself meanwhile takes no
        other with it."""
        self._over = ""

    def close(self, why: str) -> None:
        """Refuse every word from now on; the first reason stands."""
        self._over = self._over or why

    def pause(self, who: str) -> None:
        """Ask for a pause."""
        self.require_open()
        if self.paused and self.who != THE_DISK:
            raise NotNow("The run is paused already.", "Resume it, or stop it.")
        self.who, self.paused = who, True
        self.heard.set(None)

    def resume(self, who: str) -> None:
        """Ask for the end of a pause."""
        self.require_open()
        if not self.paused:
            raise NotNow("The run is not paused, so there is nothing to resume.")
        self.who, self.paused = who, False
        self.heard.set(None)

    def skip(self, who: str, step_count: int) -> None:
        """Ask for the end of an executed step; 0 where none is under way."""
        self.require_open()
        if self.paused:
            raise NotNow("The run is paused: no step is under way that could be skipped.", "Resume it first.")
        if step_count == 0:
            raise NotNow("No step is under way at this moment.", "Wait for the next one, or stop the run.")
        if self.skipper(step_count) is not None:
            raise NotNow("This step is being skipped already.", "Wait until the next one has begun.")
        self._skip = (step_count, who)
        self.heard.set(None)

    def skipper(self, step_count: int) -> str | None:
        """Return who wants an executed step to be skipped, or None."""
        return self._skip[1] if self._skip is not None and self._skip[0] == step_count else None

    def require_open(self) -> None:
        """Refuse where no word can have an effect any more."""
        if self._over:
            raise NotNow(self._over, "See its last events for how it ended.")
