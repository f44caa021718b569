"""A certificate authority that lives as long as the tests, and one certificate for loopback."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files. All may be read by every user: nothing here is worth hiding."""

    authority: Path
    chain: Path
    key: Path


def make(folder: Path) -> Certificates:
    """Makes the authority and a certificate for localhost and 127.0.0.1 in `folder`."""
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    made = Certificates(folder / "authority.pem", folder / "chain.pem", folder / "key.pem")
    authority.cert_pem.write_to_path(made.authority)
    for at, part in enumerate(server.cert_chain_pems):
        part.write_to_path(made.chain, append=at > 0)
    server.private_key_pem.write_to_path(made.key)
    for path in (made.authority, made.chain, made.key):
        path.chmod(0o644)
    return made
