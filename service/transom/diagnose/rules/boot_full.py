"""``/boot`` or the ESP has no room for another initramfs: an image that was cut off half-way does not boot."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="boot-full",
    scope=rule.Scope.NODE,
    needs=("/boot", "ESP"),
    who=model.Who.REPORT,
    remedy="Remove kernels that are not needed any more (`apt autoremove --purge`, `proxmox-boot-tool kernel list`).",
    holds=True,
    safety=True,
    when=rule.When.HOST,
)
_RESERVE = 8 << 20
"""Beside one image: grub.cfg, loader entries, and what a file system keeps for itself."""


def judge(host: view.Host) -> rule.Verdict:
    space = host.facts.standing.space
    if isinstance(space, model.Unknown):
        return rule.cannot_tell(f"free space: {space.unknown}")
    short = [one for one in space if one.free < _needs(one)]
    if not short:
        return rule.clear()
    named = ", ".join(f"{one.path} has {one.free >> 20} MiB free and needs {_needs(one) >> 20}" for one in short)
    return rule.found(named, [model.Evidence(f"statfs {one.path}", f"{one.free} bytes free") for one in short])


def _needs(space: model.Space) -> int:
    """/boot takes a whole new image beside the old; on an ESP files are written over, if images are there at all."""
    return _RESERVE + (space.image if space.path == "/boot" else 0)
