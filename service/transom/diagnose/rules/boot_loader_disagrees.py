"""A kernel command line is wanted, and what tells of the boot loader cannot be true together: which files it reads is not known."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.host import loader

RULE = rule.Rule(
    id="boot-loader-disagrees",
    scope=rule.Scope.NODE,
    needs=("/proc/cmdline", "EFI variable LoaderInfo", "efibootmgr -v", loader.UUIDS, "ESPs"),
    who=model.Who.REFUSE,
    remedy="Look at `proxmox-boot-tool status` and `efibootmgr -v`, and let the firmware start the loader that proxmox-boot-tool "
    "configures (`proxmox-boot-tool reinit`); then reboot.",
    holds=True,
    safety=True,
)


def judge(host: view.Host) -> rule.Verdict:
    boot, esps = host.facts.boot, host.facts.esps
    if not host.wanted("kernel_cmdline"):
        return rule.clear()
    against = loader.conflicts(boot, esps)
    if against:
        return rule.found("it cannot be told which boot loader started this node: what tells of it disagrees", against)
    if isinstance(boot.manager, model.Unknown) and boot.loader in {loader.GRUB, loader.SYSTEMD_BOOT}:
        return rule.cannot_tell(f"what configures the boot loader: {boot.manager.unknown}")
    return rule.clear()
