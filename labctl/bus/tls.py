"""A connection to a broker that is that broker: TLS 1.2 or later, with its certificate checked for its name."""

import socket
import ssl

from labctl.bus.address import Address
from labctl.errors import StorageError


def context(address: Address) -> ssl.SSLContext | None:
    """Return how to connect; None where the address is one without TLS.

    Raises:
        StorageError: what should vouch for the broker is no certificate.
    """
    if not address.tls:
        return None
    try:
        made = ssl.create_default_context(cadata=address.ca)  # checks certificate and name
    except (ssl.SSLError, ValueError):
        raise StorageError(
            f"What should vouch for {address} is no certificate in PEM.",
            "Take ca.crt of the site, or the file that `labctl site init` wrote for you.",
        ) from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def expiry(address: Address, patience: float) -> float | None:
    """Return the unix time at which the broker's certificate expires; blocks. None without TLS. Raises OSError."""
    how = context(address)
    if how is None:
        return None
    with (
        socket.create_connection((address.host, address.port), patience) as plain,
        how.wrap_socket(plain, server_hostname=address.host) as secured,
    ):
        shown = secured.getpeercert()
    return None if shown is None else float(ssl.cert_time_to_seconds(str(shown["notAfter"])))
