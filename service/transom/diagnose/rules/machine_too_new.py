"""The machine version is newer than the installed QEMU, as after a VM came from a newer node."""

from __future__ import annotations

import re

from transom import model
from transom.diagnose import rule, view
from transom.host import versions

RULE = rule.Rule(
    id="machine-too-new",
    scope=rule.Scope.GUEST,
    needs=(
        "qemu-server/N.conf",
        "version of pve-qemu-kvm",
    ),
    who=model.Who.REFUSE,
    remedy="Upgrade pve-qemu-kvm on this node, or name a machine version that it has.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    wanted = _VERSION.search(config.get("machine", ""))
    if wanted is None:
        return rule.clear()
    qemu = guest.host.package("pve-qemu-kvm")
    if isinstance(qemu, model.Unknown):
        return rule.cannot_tell(qemu.unknown)
    installed = versions.numbers(qemu)
    # PVE leaves release candidates (10.0.90) alone.
    if installed[:2] >= (int(wanted[2]), int(wanted[3])) or (len(installed) > 2 and installed[2] >= 90):
        return rule.clear()
    version, node = qemu.partition("-")[0], guest.host.wish.pve_node
    return rule.found(
        f"VM start fails with `Installed QEMU version '{version}' is too old to run machine type '{wanted[0]}', "
        f"please upgrade node '{node}'`",
        [guest.evidence("machine"), model.Evidence("dpkg-query pve-qemu-kvm", qemu)],
        holds=guest.names("machine"),
    )


_VERSION = re.compile(r"pc-(i440fx|q35)-(\d+)\.(\d+)[\w.+]*")
