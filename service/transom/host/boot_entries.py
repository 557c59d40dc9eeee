"""What the boot loader will hand to the kernels: the entries of GRUB and systemd-boot, wherever they lie on this host.

Of systemd-boot's, those alone that the node's tool rebuilds: proxmox-boot-tool's ``proxmox-VERSION.conf``, kernel-install's
``TOKEN-VERSION.conf`` (with ``+TRIES`` where boots are counted) of the kernel at ``/TOKEN/VERSION/linux``. What a person put there,
or another system that shares the ESP, never takes the node's kernel parameters.
"""

from __future__ import annotations

import dataclasses
import re

from transom import model
from transom.host import files, grub_cfg, kernel_args, loader

GRUB_CFG = "/boot/grub/grub.cfg"
_INSTALLED = re.compile(r"/([^/]+)/([^/]+)/linux")
_COUNTED = re.compile(r"(?:\+\d+(?:-\d+)?)?\.conf$")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One way to boot Linux, recovery apart: where it is written, its kernel command line, its kernel's version."""

    place: str
    tokens: tuple[str, ...]
    kernel: str


def entries(facts: model.Facts) -> tuple[Entry, ...] | model.Unknown:
    """Every entry of the loader that booted; Unknown when one file or ESP of them could not be read, or there are none at all."""
    boot = facts.boot
    for fact in (boot.loader, boot.manager):
        if isinstance(fact, model.Unknown):
            return fact
    if boot.manager == loader.MKCONFIG:
        file = files.readable(facts, GRUB_CFG)
        if isinstance(file, model.Unknown):
            return file
        return _grub(GRUB_CFG, str(file.text)) if isinstance(file, model.HostFile) else ()
    if isinstance(facts.esps, model.Unknown):
        return facts.esps
    found: list[Entry] = []
    for esp in facts.esps:
        if isinstance(esp.files, model.Unknown):
            return model.Unknown(f"ESP {esp.name}: {esp.files.unknown}")
        for path in sorted(esp.files):
            if boot.loader == loader.GRUB and path == loader.GRUB_CFG:
                found += _grub(f"ESP {esp.name} {path}", esp.files[path])
            elif boot.loader == loader.SYSTEMD_BOOT and path.startswith(loader.ENTRIES):
                found += _loader_entry(str(boot.manager), f"ESP {esp.name} {path}", esp.files[path])
    return tuple(found) or model.Unknown(f"no boot entry of {boot.loader} was found on {len(facts.esps)} ESPs")


def _grub(place: str, text: str) -> tuple[Entry, ...]:
    return tuple(Entry(place, one.tokens, one.kernel) for one in grub_cfg.entries(text) if not one.recovery)


def _loader_entry(manager: str, place: str, text: str) -> tuple[Entry, ...]:
    """An entry of the Boot Loader Specification: ``options`` may stand several times; one without ``linux`` starts no kernel."""
    pairs = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    fields = [(pair[0], pair[1] if len(pair) > 1 else "") for pair in pairs]
    kernel = next((value.strip() for key, value in fields if key == "linux"), "")
    if not kernel or not _by_the_tool(manager, place.rpartition("/")[2], kernel):
        return ()
    version = next((value.strip() for key, value in fields if key == "version"), "")
    options = kernel_args.split(" ".join(value for key, value in fields if key == "options"))
    return (Entry(place, options, version or kernel.rpartition("/")[0].rpartition("/")[2]),)


def _by_the_tool(manager: str, name: str, kernel: str) -> bool:
    if manager == loader.BOOT_TOOL:
        return name.startswith("proxmox-")
    installed = _INSTALLED.fullmatch(kernel)
    return installed is not None and _COUNTED.sub("", name) == "-".join(installed.groups())
