"""A kernel command line is wanted, and the node boots by neither GRUB nor systemd-boot: no file of theirs would be read."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.host import loader as known

RULE = rule.Rule(
    id="boot-loader-unsupported",
    scope=rule.Scope.NODE,
    needs=("boot loader",),
    who=model.Who.REFUSE,
    remedy="Take kernel_cmdline out of the Node document and set the parameters by hand, as {loader} documents it.",
    holds=True,
    safety=True,
)


def judge(host: view.Host) -> rule.Verdict:
    loader = host.facts.boot.loader
    if not host.wanted("kernel_cmdline"):
        return rule.clear()
    if isinstance(loader, model.Unknown):
        return rule.cannot_tell(f"boot loader: {loader.unknown}")
    if loader in {known.GRUB, known.SYSTEMD_BOOT}:
        return rule.clear()
    return rule.found(
        f"the node boots by {loader}, and its kernel command line cannot be managed",
        [model.Evidence(sign.source, sign.says) for sign in host.facts.boot.signs],
        loader=loader,
    )
