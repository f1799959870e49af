"""The site's own authority, and the certificate with which its broker shows who it is (X.509, RFC 5280)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from labctl.clock import host_unix

AUTHORITY_LIFE = timedelta(days=3650)
BROKER_LIFE = timedelta(days=730)
RENEWAL = timedelta(days=60)
"""A certificate that is good for less is made anew."""
_CLOCK_DIFFERENCE = timedelta(hours=1)
"""Clocks of other machines may be behind."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key and the certificate of its public one."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def read(cls, key: bytes, certificate: bytes) -> "Pair":
        """Read both from PEM; raises ValueError."""
        read = serialization.load_pem_private_key(key, None)
        if not isinstance(read, ec.EllipticCurvePrivateKey):
            raise ValueError("the key is not one on an elliptic curve")
        return cls(read, x509.load_pem_x509_certificate(certificate))

    def key_pem(self) -> bytes:
        """Return the private key, not encrypted: the broker reads it without a person."""
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())

    def certificate_pem(self) -> bytes:
        """Return the certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def ends(self) -> datetime:
        """Return when the certificate expires."""
        return self.certificate.not_valid_after_utc


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a private key, NIST P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def authority(site: str, now: datetime) -> Pair:
    """Make the authority of a site: it vouches for the broker, and for nothing else."""
    key = new_key()
    name = _name(f"labctl site {site}")
    builder = _begin(name, name, key, now, AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return Pair(key, builder.sign(key, hashes.SHA256()))


def broker(hosts: Sequence[str], key: ec.EllipticCurvePrivateKey, by: Pair, now: datetime) -> Pair:
    """Make the certificate of a broker that is reached under these names or addresses."""
    builder = _begin(_name(hosts[0]), by.certificate.subject, key, now, BROKER_LIFE)
    names = x509.SubjectAlternativeName([_general(host) for host in hosts])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(names, critical=False).add_extension(identifier, critical=False)
    return Pair(key, builder.sign(by.key, hashes.SHA256()))


def serves(pair: Pair, hosts: Sequence[str], by: Pair, now: datetime) -> bool:
    """Whether a broker's certificate is of this authority and key, for these names, and good for long enough."""
    try:
        pair.certificate.verify_directly_issued_by(by.certificate)
        shown = pair.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):  # whatever is wrong, it is made anew
        return False
    mine = pair.certificate.public_key() == pair.key.public_key()
    return mine and list(shown) == [_general(host) for host in hosts] and pair.ends() - now > RENEWAL


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _CLOCK_DIFFERENCE)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def now() -> datetime:
    """Return the present time as certificates have it."""
    return datetime.fromtimestamp(int(host_unix()), UTC)
