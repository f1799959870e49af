"""Whether a request is carried out at all: who gives it, in which role, how often, and when it was given."""

from collections import OrderedDict
from dataclasses import dataclass

from labctl.api import STALE, Request
from labctl.clock import host_monotonic, host_unix
from labctl.errors import RefusedForSafety
from labctl.roles import READ_ONLY, Role, may, needed

RATE = 50.0
"""Requests that a user may make in a second, for as long as it likes."""
BURST = 200.0
"""Requests that a user may make at once after a pause: a dashboard with many plots that opens."""
_MOST_USERS = 1000


@dataclass(frozen=True, slots=True)
class Sender:
    """Who gives a request: what its topic says, on which the broker lets nobody else publish."""

    role: Role
    user: str


class Admission:
    """Refuses what must not be carried out.

    Args:
        began: monotonic time at which this daemon began; what was given before was meant for the one before it.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self._allowances: OrderedDict[str, _Allowance] = OrderedDict()

    def check_rate(self, sender: Sender, do: str) -> None:
        """Refuse what comes too often; to make everything safe is never too often. Raises RefusedForSafety."""
        if do == "estop" and may(sender.role, do):
            return
        allowance = self._allowances.setdefault(sender.user, _Allowance())
        self._allowances.move_to_end(sender.user)
        while len(self._allowances) > _MOST_USERS:
            self._allowances.popitem(last=False)
        if not allowance.take():
            raise RefusedForSafety(
                f"{sender.user} asks more than {RATE:g} times a second.", "Ask less often, then again."
            )

    def check(self, sender: Sender, request: Request) -> None:
        """Refuse what this user may not do, or what was not meant for now. Raises RefusedForSafety."""
        do = request.action.do
        if request.user != sender.user:
            raise RefusedForSafety(
                f'The request says that "{request.user}" gives it, the broker says that "{sender.user}" does.',
                "Give commands in your own name.",
            )
        if not may(sender.role, do):
            raise RefusedForSafety(
                f'"{do}" needs the role {needed(do)}; {sender.user} came as {sender.role}.',
                "Ask one who has it. What a user may be is set on the broker's machine: labctl site add.",
            )
        if do not in READ_ONLY:
            self._refuse_stale(request)

    def _refuse_stale(self, request: Request) -> None:
        age = host_unix() - request.sent_unix_second
        if not -STALE <= age <= STALE:
            raise RefusedForSafety(
                f"This command is {abs(age):.0f} s {'old' if age > 0 else 'from the future'}, and so not carried out.",
                "Give it again; if it comes again, the clocks of the two machines differ: set them by NTP.",
            )
        # ages are compared, not instants: the clock may have been set since
        if age > host_monotonic() - self._began and request.action.do != "estop":
            raise RefusedForSafety(
                "This command was given before this daemon began, and the one before it may have carried it out.",
                "Look with `labctl status` what the stations do, then give it again.",
            )


class _Allowance:
    """What a user may still ask now: grows with RATE up to BURST."""

    def __init__(self) -> None:
        self._left = BURST
        self._at = host_monotonic()

    def take(self) -> bool:
        """Use one up; return whether there was one."""
        now = host_monotonic()
        self._left = min(BURST, self._left + RATE * (now - self._at))
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
