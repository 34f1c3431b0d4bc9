"""Writes the certificate of this machine's loopback address, and its key, into one file: an
authority of its own, which the clients are told to trust. Run by the Python of a group of
clients, which has what this needs."""

import datetime
import ipaddress
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def main(file):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client matrix")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    with open(file, "wb") as out:
        out.write(certificate.public_bytes(encoding))
    with open(f"{file}.key", "wb") as out:
        form = serialization.PrivateFormat.PKCS8
        out.write(key.private_bytes(encoding, form, serialization.NoEncryption()))


if __name__ == "__main__":
    main(sys.argv[1])
