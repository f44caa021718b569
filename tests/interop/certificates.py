"""A certificate authority that lives as long as the tests, and certificates for loopback and for clients."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files. All may be read by every user: nothing here is worth hiding.

    `user` and `stranger` are certificates of clients with their keys, of that common name.
    """

    authority: Path
    chain: Path
    key: Path
    user: Path
    stranger: Path


def make(folder: Path) -> Certificates:
    """Makes the authority and a certificate for localhost and 127.0.0.1 in `folder`, and those for clients."""
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    names = ("authority", "chain", "key", "user", "stranger")
    made = Certificates(**{name: folder / f"{name}.pem" for name in names})
    authority.cert_pem.write_to_path(made.authority)
    for at, part in enumerate(server.cert_chain_pems):
        part.write_to_path(made.chain, append=at > 0)
    server.private_key_pem.write_to_path(made.key)
    for path in (made.user, made.stranger):
        client = authority.issue_cert(f"{path.stem}@clients.test", common_name=path.stem)
        client.private_key_and_cert_chain_pem.write_to_path(path)
    for name in names:
        getattr(made, name).chmod(0o644)
    return made
