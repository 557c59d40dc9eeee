"""What a running QEMU was started with, where PVE would start it with something else now: an edit of the file behind PVE's back, a
mapping that leads to another device, a QEMU started by hand.

Nothing is pending then, and PVE itself does not tell. A restart is planned only when it can help: when something that a start reads
was written since. Otherwise it is a finding, not a loop.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence, Set

from transom import model
from transom.guest import cmdline, conf, hidden
from transom.guest.fields import hostpci as field
from transom.plan import mapping
from transom.spec import wish

WHY = "the running QEMU was started with other arguments"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """``drifts``: what a restart puts right of declared keys; ``stale``: the keys. ``findings``: the rest, which holds nothing."""

    drifts: tuple[model.Drift, ...] = ()
    stale: tuple[str, ...] = ()
    findings: tuple[model.Finding, ...] = ()


def judge(
    vmid: int, parsed: conf.GuestConf, wants: Mapping[str, wish.Want], node: wish.NodeWish, facts: model.Facts
) -> Verdict:
    """Of a running VM. Its pending changes are another matter: neither command line has them."""
    if isinstance(facts.started, model.Unknown) or (one := facts.started.get(vmid)) is None:
        return Verdict()
    if isinstance(one.argv, model.Unknown) or isinstance(one.wanted, model.Unknown):
        return Verdict(findings=(_unread(vmid, one),))
    now = parsed.current()
    pinned = re.search(r"-\d", now.get("machine", "")) is not None
    found = cmdline.differences(one.argv, one.wanted, pinned=pinned, pooled=_pooled(now, node, facts))
    helps = one.written > one.since
    ours = tuple(difference for difference in found if helps and difference.key in wants)
    drifts = tuple(_drift(vmid, difference, wants[difference.key].document) for difference in ours)
    rest = [difference for difference in found if difference not in ours]
    told = (_otherwise(vmid, one.pid, rest),) if rest else ()
    return Verdict(drifts, tuple(difference.key for difference in ours), told)


def _drift(vmid: int, difference: cmdline.Difference, document: str) -> model.Drift:
    wanted, running = hidden.words(difference.wanted), hidden.words(difference.running)
    level, impact = model.Level.EFFECTIVE, model.Impact.GUEST_RESTART
    return model.Drift(f"qemu/{vmid}/{difference.key}", wanted or None, running or None, level, impact, document, WHY)


def _pooled(config: Mapping[str, str], node: wish.NodeWish, facts: model.Facts) -> Set[str]:
    """The devices behind a mapping with several entries for this node: PVE takes any that is free."""
    return {
        key
        for key, value in config.items()
        if key.startswith("hostpci") and (name := _mapped(value)) and _many(name, node, facts)
    }


def _mapped(value: str) -> str:
    try:
        return field.read(value).mapping or ""
    except ValueError:
        return ""


def _many(name: str, node: wish.NodeWish, facts: model.Facts) -> bool:
    """Not known counts as several."""
    if isinstance(facts.mappings, model.Unknown) or name not in facts.mappings:
        return True
    return len(mapping.entries_of(node.pve_node, facts.mappings[name])[0]) != 1


def _otherwise(vmid: int, pid: int, found: Sequence[cmdline.Difference]) -> model.Finding:
    keys = ", ".join(difference.key for difference in found)
    return model.Finding(
        id="qemu-started-otherwise",
        subject=f"VM {vmid}",
        summary=f"{WHY}: {keys}",
        remedy=f"`qm reboot {vmid}` when it suits, or mend what the VM's configuration says now.",
        who=model.Who.REPORT,
        evidence=tuple(
            evidence
            for difference in found
            for evidence in (
                model.Evidence(
                    f"/proc/{pid}/cmdline", hidden.words(difference.running) or f"nothing of {difference.key}"
                ),
                model.Evidence(f"qm showcmd {vmid}", hidden.words(difference.wanted) or f"nothing of {difference.key}"),
            )
        ),
    )


def _unread(vmid: int, one: model.Started) -> model.Finding:
    sources = {f"/proc/{one.pid}/cmdline": one.argv, f"qm showcmd {vmid}": one.wanted}
    unread = {source: value.unknown for source, value in sources.items() if isinstance(value, model.Unknown)}
    return model.Finding(
        id="qemu-arguments-unread",
        subject=f"VM {vmid}",
        summary=f"cannot tell whether the running QEMU has what PVE would start it with now: {', '.join(unread)} gives nothing",
        remedy=f"`qm showcmd {vmid}` on the node says what is against it.",
        who=model.Who.REPORT,
        evidence=tuple(model.Evidence(source, why) for source, why in unread.items()),
    )
