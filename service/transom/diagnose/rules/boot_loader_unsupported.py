"""A kernel command line is wanted, and the node does not boot by plain GRUB: the files that we own would not be read."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="boot-loader-unsupported",
    scope=rule.Scope.NODE,
    needs=("boot loader",),
    who=model.Who.REFUSE,
    remedy="Take kernel_cmdline out of the Node document and set the parameters by hand ({where}).",
    holds=True,
    safety=True,
)


def judge(host: view.Host) -> rule.Verdict:
    loader = host.facts.boot.loader
    if not host.wanted("kernel_cmdline"):
        return rule.clear()
    if isinstance(loader, model.Unknown):
        return rule.cannot_tell(f"boot loader: {loader.unknown}")
    if loader == "grub":
        return rule.clear()
    return rule.found(
        f"the node boots by {loader}, and its kernel command line cannot be managed yet",
        [model.Evidence("boot loader", loader)],
        where="/etc/kernel/cmdline, then `proxmox-boot-tool refresh`"
        if loader == "systemd-boot"
        else "see its documentation",
    )
