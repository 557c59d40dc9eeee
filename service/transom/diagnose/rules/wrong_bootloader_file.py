"""Parameters stand in GRUB's file on a node that boots by systemd-boot, which reads ``/etc/kernel/cmdline``."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.host import kernel_args
from transom.host.settings import kernel_cmdline

RULE = rule.Rule(
    id="wrong-bootloader-file",
    scope=rule.Scope.NODE,
    needs=("boot loader", "/etc/default/grub", "/proc/cmdline"),
    who=model.Who.REBOOT,
    remedy="Put {tokens} on the one line of /etc/kernel/cmdline, run `proxmox-boot-tool refresh`, reboot.",
)


def judge(host: view.Host) -> rule.Verdict:
    boot = host.facts.boot
    for fact in (boot.loader, boot.cmdline):
        if isinstance(fact, model.Unknown):
            return rule.cannot_tell(fact.unknown)
    if boot.loader != "systemd-boot":
        return rule.clear()
    items = kernel_cmdline.SETTING.read(host.facts)
    if isinstance(items, model.Unknown):
        return rule.cannot_tell(items.unknown)
    idle = [
        item
        for item in items
        if _matters(item.value) and kernel_cmdline.SETTING.effective(item.value, host.facts) is False
    ]
    if not idle:
        return rule.clear()
    return rule.found(
        "GRUB's file has parameters that this node does not read: it boots by systemd-boot",
        [*(model.Evidence(item.place, item.value) for item in idle), model.Evidence("boot loader", "systemd-boot")],
        tokens=" ".join(item.value for item in idle),
    )


def _matters(token: str) -> bool:
    """Whether a missing token is worth a word; every GRUB file has ``quiet``."""
    return bool(token) and kernel_args.key(token) not in {"quiet", "splash"}
