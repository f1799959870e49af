"""What the broker lets a user be, and what each may ask of a daemon."""

from typing import Literal

Role = Literal["viewer", "operator", "admin"]

ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")
"""Each may do what those before it may."""

READ_ONLY = frozenset({"check", "history", "cycles", "events", "runs"})
"""Actions that move nothing: a viewer may ask for them, and they are answered however old they are."""

ADMIN_ONLY = frozenset({"reset"})
"""Actions that take back what somebody did for safety's sake; to make safe never needs more than an operator."""


def may(role: Role, do: str) -> bool:
    """Whether a role is enough for an action."""
    return ROLES.index(role) >= ROLES.index(needed(do))


def needed(do: str) -> Role:
    """Return the least role for an action."""
    if do in READ_ONLY:
        return "viewer"
    return "admin" if do in ADMIN_ONLY else "operator"
