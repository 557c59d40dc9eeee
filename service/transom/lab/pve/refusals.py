"""How PVE's command-line tools tell a refusal, and with which code they end."""

from __future__ import annotations

import sys

from transom.lab.pve import replies


def told(error: replies.Refused, line: str) -> int:
    """Prints a refusal as PVE's tools do; returns the exit code."""
    if error.status == 400:
        lines = "".join(f"{name}: {error.errors[name]}\n" for name in sorted(error.errors))
        print(f"400 {error.text}\n{lines}{line}", file=sys.stderr)
        return 255
    print(error.text, file=sys.stderr)
    return exit_code(error.text)


def exit_code(text: str) -> int:
    """Perl's `die` ends with what errno happens to be: a missing file 2, a missing device 22, else 255."""
    if text.startswith("Configuration file '") and text.endswith("does not exist"):
        return 2
    return 22 if text.startswith("no PCI device found") else 255
