"""QEMU versions that do not know a generation of graphics in legacy mode, and where a recipe refuses to be used."""

from __future__ import annotations

import dataclasses
import fnmatch

from transom import model
from transom.diagnose import rule, view
from transom.host import versions
from transom.spec import wish

RULE = rule.Rule(
    id="qemu-igd-generation",
    scope=rule.Scope.GUEST,
    needs=("version of pve-qemu-kvm", "qemu-server/N.conf", "/sys/bus/pci/devices"),
    who=model.Who.REFUSE,
    remedy="{remedy}",
    holds=True,
)


@dataclasses.dataclass(frozen=True)
class _Gap:
    """Device ids that a range of QEMU versions refuses in legacy mode (its list in hw/vfio/igd.c)."""

    generations: str
    ids: tuple[str, ...]
    qemu: str
    remedy: str


_CLOSED_LIST = "Upgrade pve-qemu-kvm to 10.0 or newer, or pin 9.1.2-3."
_GAPS = (
    _Gap("Comet Lake", ("8086:9b*",), ">=9.2,<10.0", _CLOSED_LIST),
    _Gap("Gemini Lake", ("8086:3184", "8086:3185"), ">=9.2,<10.0", _CLOSED_LIST),
    _Gap("Ice Lake", ("8086:8a*",), ">=9.2,<10.0", _CLOSED_LIST),
    _Gap("Rocket Lake", ("8086:4c*",), ">=9.2,<10.0", _CLOSED_LIST),
    _Gap("Alder and Raptor Lake", ("8086:46*", "8086:a7*"), ">=9.2,<10.0", _CLOSED_LIST),
    _Gap("Meteor Lake and newer", ("8086:7d*",), "<10.1", "Upgrade pve-qemu-kvm to 10.1 or newer."),
)


def judge(guest: view.Guest) -> rule.Verdict:
    id = _legacy_id(guest)
    if isinstance(id, model.Unknown):
        return rule.cannot_tell(id.unknown)
    gaps = [gap for gap in _GAPS if _fits(id, gap.ids)]
    refusals = _refusals(guest)
    if not gaps and not refusals:
        return rule.clear()
    qemu = guest.host.package("pve-qemu-kvm")
    if isinstance(qemu, model.Unknown):
        return rule.cannot_tell(qemu.unknown)
    for refusal in refusals:
        if versions.matches(qemu, refusal.qemu):
            return _refused(guest, refusal, qemu)
    for gap in gaps:
        if versions.matches(qemu, gap.qemu):
            return rule.found(
                f"QEMU {qemu} has no legacy mode for {gap.generations}: "
                "`IGD device 0000:00:02.0 is unsupported in legacy mode, try SandyBridge or newer`",
                [
                    model.Evidence("dpkg-query pve-qemu-kvm", qemu),
                    model.Evidence("/sys/bus/pci/devices", f"device {id}"),
                ],
                remedy=gap.remedy,
            )
    return rule.clear()


def _refusals(guest: view.Guest) -> list[wish.Refusal]:
    """What the recipe says that may apply to the VM's device."""
    device = guest.wish.device
    return [one for one in guest.wish.refusals if not one.devices or (device and _fits(device.id, one.devices))]


def _refused(guest: view.Guest, refusal: wish.Refusal, qemu: str) -> rule.Verdict:
    device = guest.wish.device.id if guest.wish.device else "(none)"
    return rule.found(
        f"recipe {guest.wish.recipe} refuses device {device} on QEMU {qemu}: {refusal.reason}",
        [model.Evidence("dpkg-query pve-qemu-kvm", qemu), model.Evidence(guest.wish.document, f"device {device}")],
        remedy="Use another recipe, or another version of pve-qemu-kvm.",
    )


def _fits(id: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(id, glob) for glob in globs)


def _legacy_id(guest: view.Guest) -> str | model.Unknown:
    """The id of the device in legacy mode; empty when there is none."""
    given, pci = guest.hostpci, guest.host.facts.pci
    if isinstance(given, model.Unknown):
        return given
    legacy = [one for one in given if one.value.legacy_igd]
    if legacy and isinstance(pci, model.Unknown):
        return pci
    addresses = [address for one in legacy for address in one.functions(pci if isinstance(pci, tuple) else ())]
    return next((dev.id for dev in pci if dev.address in addresses), "") if isinstance(pci, tuple) else ""
