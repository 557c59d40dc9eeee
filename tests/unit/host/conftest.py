"""Facts from a few words: what a case gives, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from transom import model

COVERED = (
    "/etc/default/grub",
    "/etc/default/grub.d/*.cfg",
    "/etc/kernel/cmdline",
    "/etc/modules",
    "/etc/modules-load.d/*.conf",
    "/etc/modprobe.d/*.conf",
    "/usr/lib/modprobe.d/*.conf",
    "/etc/sysctl.d/*.conf",
    "/etc/initramfs-tools/scripts/init-top/*",
)

MakeFacts = Callable[..., model.Facts]


def _facts(
    files: Mapping[str, Any] | None = None,
    *,
    cmdline: Sequence[str] | model.Unknown = (),
    kernel: str | model.Unknown = "5.15.74-1-pve",
    loader: str | model.Unknown = "grub",
    modules: Sequence[str] = (),
    pci: Sequence[Mapping[str, Any]] | None = None,
    covered: Sequence[str] = COVERED,
    module_options: Mapping[str, str] | None = None,
    sysctl: dict[str, str] | model.Unknown | None = None,
) -> model.Facts:
    boot = model.Boot("b", kernel, cmdline if isinstance(cmdline, model.Unknown) else tuple(cmdline), loader, False, 0)
    return model.Facts(
        node="pve1",
        boot=boot,
        files={path: _file(path, text) for path, text in (files or {}).items()},
        covered=tuple(covered),
        modules=frozenset(modules),
        module_options=module_options or {},
        sysctl=sysctl if sysctl is not None else {},
        pci=model.Unknown("not given") if pci is None else tuple(model.PciDevice(**device) for device in pci),
    )


def _file(path: str, text: Any) -> model.HostFile | model.Unknown:
    if isinstance(text, Mapping):
        return model.Unknown(text["unknown"])
    joined = text if isinstance(text, str) else "".join(line + "\n" for line in text)
    return model.HostFile(path, joined, hashlib.sha256(joined.encode()).hexdigest())


@pytest.fixture
def make_facts() -> MakeFacts:
    return _facts
