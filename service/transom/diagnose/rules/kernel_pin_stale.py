"""A kernel is pinned that is not installed any more: the next boot takes another one than anybody thinks, or none."""

from __future__ import annotations

import re
from collections.abc import Iterator

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="kernel-pin-stale",
    scope=rule.Scope.NODE,
    needs=("/etc/kernel/proxmox-boot-pin", "/etc/default/grub", "/boot/initrd.img-*"),
    who=model.Who.REPORT,
    remedy="`proxmox-boot-tool kernel unpin`, or pin an installed one ({installed}); in GRUB's files set GRUB_DEFAULT=0.",
)
_PINS = ("/etc/kernel/proxmox-boot-pin", "/etc/kernel/next-boot-pin")
_IMAGE = "/boot/initrd.img-"
_RELEASE = re.compile(r"\d+\.\d+\.\d+-\d+-pve")
_DEFAULT = re.compile(r"^\s*(?:export\s+)?GRUB_DEFAULT=(.*)$", re.MULTILINE)


def judge(host: view.Host) -> rule.Verdict:
    files = host.facts.files
    installed = sorted(path.removeprefix(_IMAGE) for path in files if path.startswith(_IMAGE))
    unread = [file.unknown for path in _PINS if isinstance(file := host.facts.file(path), model.Unknown)]
    if unread or not installed:
        return rule.cannot_tell(unread[0] if unread else "no /boot/initrd.img-* is seen")
    stale = [one for one in _pinned(host.facts) if one.says not in installed]
    if not stale:
        return rule.clear()
    named = ", ".join(dict.fromkeys(one.says for one in stale))
    return rule.found(f"pinned and not installed: kernel {named}", stale, installed=", ".join(installed))


def _pinned(facts: model.Facts) -> Iterator[model.Evidence]:
    """Who names which release."""
    for path, file in sorted(facts.files.items()):
        if not isinstance(file, model.HostFile) or not isinstance(file.text, str):
            continue
        if path in _PINS:
            yield from (model.Evidence(path, line.strip()) for line in file.text.splitlines() if line.strip())
        elif path.startswith("/etc/default/grub"):
            values = _DEFAULT.findall(file.text)[-1:]
            yield from (model.Evidence(path, release) for release in _RELEASE.findall(" ".join(values))[-1:])
