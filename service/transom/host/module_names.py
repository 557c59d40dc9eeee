"""Names of kernel modules: ``-`` and ``_`` are the same to kmod and the kernel."""

from __future__ import annotations


def normal(name: str) -> str:
    """The name as the kernel shows it, with underscores."""
    return name.replace("-", "_")
