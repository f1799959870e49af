"""Whether a host is this machine itself: what goes there needs no TLS."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether a host's name or address leads nowhere else; a name that only a resolver knows does not count."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
