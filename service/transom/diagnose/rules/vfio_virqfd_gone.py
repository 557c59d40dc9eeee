"""A foreign line still loads ``vfio_virqfd``, which was folded into vfio at 6.2: systemd-modules-load fails at every boot."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.host.settings import modules

RULE = rule.Rule(
    id="vfio-virqfd-gone",
    scope=rule.Scope.NODE,
    needs=("/etc/modules", "/etc/modules-load.d", "uname -r"),
    who=model.Who.ADOPT,
    remedy="Remove the line vfio_virqfd from {files}; it does no harm but `Failed to find module 'vfio_virqfd'` at boot.",
)


def judge(host: view.Host) -> rule.Verdict:
    gone, items = host.kernel_matches(">=6.2"), modules.SETTING.read(host.facts)
    if gone is False:
        return rule.clear()
    for fact in (gone, items):
        if isinstance(fact, model.Unknown):
            return rule.cannot_tell(fact.unknown)
    assert isinstance(items, tuple)
    left = [item for item in items if item.value == "vfio_virqfd" and item.path != modules.SETTING.path]
    if not left:
        return rule.clear()
    return rule.found(
        f"vfio_virqfd is asked for, which kernel {host.facts.boot.kernel} no longer has",
        [model.Evidence(item.place, "vfio_virqfd") for item in left],
        files=", ".join(sorted({item.path for item in left})),
    )
