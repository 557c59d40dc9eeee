"""A clipboard over VNC with a display that has none: PVE refuses the value at the write."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="vga-clipboard",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Leave clipboard=vnc out of vga: {kind} has no VNC display.",
)
_SHOWN = ("std", "cirrus", "vmware", "virtio", "qxl")


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    first, *rest = config.get("vga", "").split(",")
    parts = dict(part.partition("=")[::2] for part in (first if "=" in first else f"type={first}", *rest))
    kind = parts.get("type", "")
    if parts.get("clipboard") != "vnc" or not kind or kind.startswith(_SHOWN):
        return rule.clear()
    said = f"vga type {kind} is not compatible with VNC clipboard"
    return rule.found(f"PVE refuses `{said}`", [guest.evidence("vga")], holds=guest.names("vga"), kind=kind)
