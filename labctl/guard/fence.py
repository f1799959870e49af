"""Fencing: a process is ended for certain before anybody else speaks to its instruments.

A hung process keeps its ports, and two openers interleave their bytes. SIGKILL reaches a stopped process, too. The
number of a process is used again: it is pinned by a descriptor first, and then compared.
"""

import os
import select
import signal

from labctl.errors import LabctlError
from labctl.lab.heartbeat import Beat

KILL_PATIENCE = 5.0
"""Host seconds that the kernel may take to end a process, which frees its files, ports and locks."""


class NotFenced(LabctlError):
    """The process still exists: its instruments are its own."""


def fence(beat: Beat) -> None:
    """End the process that said this, if it still exists; when this returns it does not. Blocks.

    Raises:
        NotFenced: it cannot be ended.
    """
    try:
        process = os.pidfd_open(beat.pid)
    except ProcessLookupError:
        return
    try:
        if not beat.exists():  # its number is another one's now
            return
        signal.pidfd_send_signal(process, signal.SIGKILL)
        if not select.select([process], [], [], KILL_PATIENCE)[0]:
            raise NotFenced(
                f"The daemon, process {beat.pid}, was killed and does not end: it hangs in the kernel.",
                "Use the hardware emergency stop, then restart the machine.",
            )
    except ProcessLookupError:
        return
    except PermissionError:
        raise NotFenced(
            f"The daemon, process {beat.pid}, belongs to another user and cannot be ended.",
            "Run the guard as the user of the daemon.",
        ) from None
    finally:
        os.close(process)
