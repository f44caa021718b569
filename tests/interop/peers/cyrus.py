"""The one user of the tests in a database of Cyrus SASL, which Postfix and Exim ask."""

import os
import shutil
import subprocess
from pathlib import Path

from .base import PASSWORD, USER

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> str | None:
    """Why there can be none, or None."""
    if shutil.which("saslpasswd2", path=_PATH) is None:
        return "saslpasswd2, which makes the users of Cyrus SASL, is not installed"
    return None


def make(folder: Path, program: str, realm: str, owner: int) -> Path:
    """Makes a folder with the database and the configuration for `program`, which runs as the user `owner`.

    Nothing in it restricts the mechanisms: Cyrus SASL offers whatever it has.
    """
    folder.mkdir()
    database = folder / "users"
    subprocess.run(
        [
            shutil.which("saslpasswd2", path=_PATH) or "saslpasswd2",
            *("-c", "-p", "-f", str(database), "-u", realm, USER),
        ],
        input=PASSWORD.encode(),
        check=True,
        timeout=20,
    )
    os.chown(database, owner, -1)
    (folder / f"{program}.conf").write_text(
        f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {database}\n"
    )
    return folder
