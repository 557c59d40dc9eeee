"""Names of kernel modules: ``-`` and ``_`` are the same to kmod and the kernel."""

from __future__ import annotations


def normal(name: str) -> str:
    """The name as the kernel shows it, with underscores."""
    return name.replace("-", "_")


def driver(module: str) -> str:
    """The name that the module's PCI driver goes by in sysfs, with underscores: mostly its own."""
    name = normal(module)
    return {"xhci_pci": "xhci_hcd", "bochs": "bochs_drm"}.get(name, name)
