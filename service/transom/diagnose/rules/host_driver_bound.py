"""A host driver holds the device although the node booted with its id given to vfio-pci: something goes around that."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.host.settings import vfio_ids

RULE = rule.Rule(
    id="host-driver-bound",
    scope=rule.Scope.DEVICE,
    needs=("driver of the device", "/etc/modprobe.d", "/boot/initrd.img-*", "/proc/stat btime"),
    who=model.Who.REBOOT,
    remedy="Find what loads {driver} (`modprobe -c | grep {driver}`, a loaded module that depends on it, a bind by hand); "
    "blacklist it with `softdep {driver} pre: vfio-pci`, then reboot.",
)


def judge(device: view.Device) -> rule.Verdict:
    there, facts = device.present(), device.host.facts
    if isinstance(there, model.Unknown):
        return rule.cannot_tell(there.unknown)
    if there is None or there.driver in view.HOST_DRIVERS_NONE:
        return rule.clear()
    if isinstance(there.driver, model.Unknown):
        return rule.cannot_tell(there.driver.unknown)
    items = vfio_ids.SETTING.read(facts)
    if isinstance(items, model.Unknown):
        return rule.cannot_tell(items.unknown)
    giving = [item for item in items if item.value.split(":")[:2] == there.id.split(":")]
    booted = _booted_with(facts, tuple(item.path for item in giving))
    if isinstance(booted, model.Unknown):
        return rule.cannot_tell(booted.unknown)
    if not giving or not booted:
        return rule.clear()
    return rule.found(
        f"{there.address} is bound to {there.driver} although the boot gave {there.id} to vfio-pci",
        [
            model.Evidence(f"/sys/bus/pci/devices/{there.address}/driver", there.driver),
            *(model.Evidence(item.place, f"ids={item.value}") for item in giving),
        ],
        driver=there.driver,
    )


def _booted_with(facts: model.Facts, paths: tuple[str, ...]) -> bool | model.Unknown:
    """Whether these files stood as they are, in the initramfs too, when the running kernel started."""
    keeping, time_ns, kernel = facts.keeping, facts.boot.time_ns, facts.boot.kernel
    for fact in (keeping, time_ns, kernel):
        if isinstance(fact, model.Unknown):
            return fact
    assert isinstance(keeping, model.Keeping)
    if model.Step.INITRAMFS in keeping.dirty:
        return False
    image = facts.file(f"/boot/initrd.img-{kernel}")
    if isinstance(image, model.Unknown):
        return image
    files = [file for file in map(facts.file, paths) if isinstance(file, model.HostFile)]
    if not isinstance(image, model.HostFile) or image.mtime_ns >= int(str(time_ns)):
        return False
    return all(file.mtime_ns <= image.mtime_ns for file in files)
