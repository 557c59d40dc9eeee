"""Runs commands on a lab node with the real ``ssh`` client, as a person would."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from transom import errors
from transom.lab import platform


def argv(port: int, key: Path, known_hosts: Path, command: str = "") -> list[str]:
    """The ``ssh`` command that reaches a node; no configuration of the user's has a say in it."""
    options = {
        "StrictHostKeyChecking": "yes",
        # ssh splits the value at blanks, and reads % as the start of a token
        "UserKnownHostsFile": f'"{known_hosts}"'.replace("%", "%%"),
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "LogLevel": "ERROR",
    }
    words = [platform.program("ssh"), "-F", "none", "-i", str(key), "-p", str(port)]
    words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return [*words, "root@127.0.0.1", *([command] if command else [])]


def run(words: Sequence[str], *, timeout: float = 60) -> str:
    """What the command printed; Rejected with its complaint when it failed."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise errors.Rejected(f"{words[-1]} failed ({done.returncode}): {(done.stderr or done.stdout).strip()}")
    return done.stdout
