"""``vfio-pci disable_vga=1`` takes the VGA region away, which kills legacy IGD mode: ``failed to enable VGA access``."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.host import files

RULE = rule.Rule(
    id="disable-vga-set",
    scope=rule.Scope.NODE,
    needs=("/sys/module/vfio_pci/parameters/disable_vga", "/etc/modprobe.d", "/proc/cmdline"),
    who=model.Who.REBOOT,
    remedy="Remove disable_vga=1 from {source}, rebuild the initramfs, reboot.",
)

_ON = frozenset({"1", "y", "Y", ""})


def judge(host: view.Host) -> rule.Verdict:
    if not any(_legacy(guest) for guest in host.guests):
        return rule.clear()
    running = host.facts.module_options.get("vfio_pci.disable_vga")
    evidence = (
        [model.Evidence("/sys/module/vfio_pci/parameters/disable_vga", running)] if running in _ON and running else []
    )
    configured, blind = _configured(host)
    evidence += configured
    if evidence:
        places = ", ".join(one.source for one in configured)
        return rule.found(
            "vfio-pci has disable_vga set, which kills legacy IGD mode",
            evidence,
            source=places or "whatever sets it (`grep -r disable_vga /etc/modprobe.d /proc/cmdline`)",
        )
    if blind and running is None:
        return rule.cannot_tell(blind)
    return rule.clear()


def _legacy(guest: view.Guest) -> bool:
    given = guest.hostpci
    return not isinstance(given, model.Unknown) and any(one.value.legacy_igd for one in given)


def _configured(host: view.Host) -> tuple[list[model.Evidence], str]:
    """Where the configuration sets it, and why part of that could not be read."""
    option, listed = host.kernel_arg("vfio_pci.disable_vga"), files.listed(host.facts, "/etc/modprobe.d/*.conf")
    blind = next((fact.unknown for fact in (option, listed) if isinstance(fact, model.Unknown)), "")
    found = (
        [model.Evidence("/proc/cmdline", "vfio-pci.disable_vga")] if isinstance(option, str) and option in _ON else []
    )
    for file in listed if isinstance(listed, tuple) else ():
        for number, line in enumerate(str(file.text).splitlines(), start=1):
            words = line.split()
            if words[:1] == ["options"] and words[1:2] in (["vfio-pci"], ["vfio_pci"]) and _sets(words[2:]):
                found.append(model.Evidence(f"{file.path}:{number}", line.strip()))
    return found, blind


def _sets(options: list[str]) -> bool:
    last = [option.partition("=")[2] for option in options if option.partition("=")[0] == "disable_vga"]
    return bool(last) and last[-1] in _ON
