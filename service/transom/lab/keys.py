"""SSH keys of a lab, made by ssh-keygen: one for the client, one per node."""

from __future__ import annotations

import subprocess
from pathlib import Path

from transom.lab import platform


def ensure(path: Path, comment: str) -> str:
    """The public key (``ssh-ed25519 AAAA…``) of the private key at ``path``, which is made when it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        argv = [platform.program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        path.chmod(0o600)
    kind, key = path.with_name(f"{path.name}.pub").read_text().split()[:2]
    return f"{kind} {key}"
