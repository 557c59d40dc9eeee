"""What a node will be once it has booted with the planned files: its kernel command line, and who drives which device. Pure.

A reading of the files, not a promise: ``Simulate`` lets the node's own tools judge them, and what really came is looked at after.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from transom import model
from transom.host import boot_entries, devices, grub, initramfs_modules, kernel_args, loader, module_names, registry
from transom.plan import actions as acts
from transom.spec import wish

VFIO = "vfio-pci"
BUILT = (model.Step.INITRAMFS, model.Step.BOOTCONFIG)
"""What the boot reads in place of the files."""
_OF_THE_LOADER = ("BOOT_IMAGE", "initrd")


@dataclasses.dataclass(frozen=True)
class Owner:
    """A declared device. ``now`` and ``then`` are drivers; empty for none, Unknown where that cannot be told beforehand."""

    device: str
    """Its name in the documents."""
    address: str
    now: model.Maybe[str]
    then: model.Maybe[str]
    why: str


@dataclasses.dataclass(frozen=True)
class Forecast:
    """The node after its next boot."""

    cmdline: model.Maybe[tuple[str, ...]]
    """Without what the boot loader itself puts before it (``BOOT_IMAGE=``, ``initrd=``)."""
    owners: tuple[Owner, ...] = ()
    new: tuple[str, ...] = ()
    """Parameters of it that the running kernel was not given."""
    gone: tuple[str, ...] = ()
    """Parameters of the running kernel that are not among them."""


def after(facts: model.Facts, actions: Iterable[acts.Action]) -> model.Facts:
    """The facts with the files as the actions leave them."""
    files = dict(facts.files)
    for action in actions:
        if isinstance(action, acts.WriteFile):
            files[action.path] = model.HostFile(action.path, action.text, "", action.mode)
        elif isinstance(action, acts.RemoveFile):
            files[action.path] = model.Absent()
        elif isinstance(action, acts.RestoreFile) and action.vmid is None:
            gone = action.before_sha256 is None
            files[action.path] = model.Absent() if gone else _restored(action)
    return dataclasses.replace(facts, files=files)


def _restored(action: acts.RestoreFile) -> model.HostFile:
    text = action.before if action.before is not None else model.Unknown("not text")
    return model.HostFile(action.path, text, "", action.mode or 0o644)


def of(node: wish.NodeWish, facts: model.Facts, actions: Sequence[acts.Action]) -> Forecast | None:
    """None for a plan after which the node boots as it would have anyway."""
    if not any(isinstance(action, acts.Reboot) or _at_boot(action) for action in actions):
        return None
    then = after(facts, actions)
    line, running = cmdline(facts, then), facts.boot.cmdline
    owners = tuple(_owners(node, then))
    if isinstance(line, model.Unknown) or isinstance(running, model.Unknown):
        return Forecast(line, owners)
    return Forecast(line, owners, _less(line, running), _less(running, line))


def _less(line: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    """What the kernel is given by the one and not by the other, but for what the boot loader itself puts there."""
    own = [token for token in line if kernel_args.key(token) not in _OF_THE_LOADER]
    return tuple(token for token in own if not any(kernel_args.same(token, one) for one in other))


def _at_boot(action: acts.Action) -> bool:
    if isinstance(action, acts.RunStep):
        return action.step in BUILT
    return isinstance(action, (*acts.FILE_ACTIONS, acts.RestoreFile)) and action.reboot


# --- the command line ------------------------------------------------------------------------------------------------


def cmdline(facts: model.Facts, then: model.Facts) -> tuple[str, ...] | model.Unknown:
    """Of the first entry that the boot loader has: what stands there now, with the new files' parameters for the present ones."""
    entries, was, now = boot_entries.entries(facts), grub.tokens(facts), grub.tokens(then)
    for fact in (entries, was, now):
        if isinstance(fact, model.Unknown):
            return fact
    assert not isinstance(entries, model.Unknown)
    assert not isinstance(was, model.Unknown)
    assert not isinstance(now, model.Unknown)
    if not entries:
        return model.Unknown("the boot loader has no entry")
    line, old, new = entries[0].tokens, [one[0] for one in was], [one[0] for one in now]
    at = _found(line, old) if old else len(line)
    if at is not None:
        return (*line[:at], *new, *line[at + len(old) :])
    return _of_a_stale_entry(line, new, facts)


def _found(line: Sequence[str], part: Sequence[str]) -> int | None:
    """Where ``part`` stands in ``line``, the last time."""
    for at in range(len(line) - len(part), -1, -1):
        if all(map(kernel_args.same, line[at : at + len(part)], part)):
            return at
    return None


def _of_a_stale_entry(line: Sequence[str], new: Sequence[str], facts: model.Facts) -> tuple[str, ...] | model.Unknown:
    """grub-mkconfig's entries begin with ``root=… ro`` (10_linux); systemd-boot's are the file, whole."""
    if facts.boot.loader == loader.SYSTEMD_BOOT:
        return tuple(new)
    at = next((number for number, token in enumerate(line) if token in ("ro", "rw")), None)
    if at is None:
        return model.Unknown("the boot entries are not as grub-mkconfig writes them")
    return (*line[: at + 1], *new)


# --- the devices -----------------------------------------------------------------------------------------------------


def _owners(node: wish.NodeWish, then: model.Facts) -> Iterator[Owner]:
    if isinstance(then.pci, model.Unknown):
        return
    declared = [*node.devices.values(), *(guest.device for guest in node.guests if guest.device)]
    for wanted in {device.name: device for device in declared}.values():
        for device in devices.matching(wanted, then.pci):
            yield _owner(wanted.name, device, then)


def _owner(name: str, device: model.PciDevice, then: model.Facts) -> Owner:
    driver, why = _driver(device, then)
    return Owner(name, device.address, device.driver, driver, why)


def _driver(device: model.PciDevice, then: model.Facts) -> tuple[str | model.Unknown, str]:
    for key, item in (("driver_override", f"{device.address}={device.id}"), ("vfio_ids", device.id)):
        given = _given(key, then)
        if isinstance(given, model.Unknown):
            return given, ""
        place = next((place for value, place in given if value == item or value.startswith(f"{item}:")), None)
        if place and key == "driver_override":
            return VFIO, f"{place} gives it its address"
        late = _given_by_initramfs(item, then) if key == "vfio_ids" else None
        if given and late is not None and bool(place) != bool(late):
            return model.Unknown(f"{initramfs_modules.PATH} gives vfio-pci other ids than {given[-1][1]}"), ""
        place = place or late
        if place:
            return _by_id(device, f"{place} gives it {item}", then)
    if isinstance(device.driver, model.Unknown):
        return device.driver, ""
    blacklist = _given("blacklist", then)
    if isinstance(blacklist, model.Unknown):
        return blacklist, ""
    if device.driver == VFIO:
        return model.Unknown("the driver that the kernel finds for it"), "nothing gives it to vfio-pci any more"
    names = _modules(device)
    place = next((place for value, place in blacklist if module_names.normal(value) in names), None)
    if place:
        return "", f"{place} keeps {device.driver} away"
    if token := _without_modeset(names, then):
        return model.Unknown(f"with {token} on the kernel command line it is the driver's own choice"), ""
    return device.driver, "nothing keeps it away"


def _by_id(device: model.PciDevice, why: str, then: model.Facts) -> tuple[str | model.Unknown, str]:
    """Of vfio-pci and the driver that has the device now, the one that is loaded first takes it."""
    waiting, kept_away, loaded = (_given(key, then) for key in ("softdep", "blacklist", "modules"))
    for fact in (device.driver, waiting, kept_away, loaded):
        if isinstance(fact, model.Unknown):
            return fact, ""
    assert not isinstance(waiting, model.Unknown)
    assert not isinstance(kept_away, model.Unknown)
    assert not isinstance(loaded, model.Unknown)
    names = _modules(device) if device.driver != VFIO else frozenset()
    waits = any(value in names for value, _ in waiting)
    away = any(value in names for value, _ in kept_away)
    if device.driver and names and not waits and not away:
        return device.driver, f"{why}, but {device.driver} may be loaded before vfio-pci"
    named = initramfs_modules.read(then)
    early = not isinstance(named, model.Unknown) and any(one.module == "vfio_pci" for one in named)
    comes = device.driver == VFIO or (waits and not away) or early or any(value == "vfio_pci" for value, _ in loaded)
    return (VFIO, why) if comes else ("", f"{why}, but nothing loads vfio-pci")


def _without_modeset(names: frozenset[str], then: model.Facts) -> str:
    """The parameter by which a display driver is asked to leave its device alone (``i915.modeset=0``); empty for none."""
    given = grub.tokens(then)
    if isinstance(given, model.Unknown):
        return ""
    asking = {f"{name}.modeset=0" for name in names}
    return next((token for token, _, _ in given if module_names.normal(token) in asking), "")


def _modules(device: model.PciDevice) -> frozenset[str]:
    """The driver's module; where that was not read it has the driver's name, but for some of the display: bochs-drm is of bochs."""
    name = device.driver_module
    return frozenset({name, name.removesuffix("_drm")} - {""})


def _given_by_initramfs(id: str, then: model.Facts) -> str | None:
    """Where the initramfs gives vfio-pci the id, if it is the one that loads it; empty when it gives others, None for none."""
    items = registry.by_key("vfio_ids").read(then)
    found = () if isinstance(items, model.Unknown) else items
    late = [item for item in found if item.path == initramfs_modules.PATH]
    return next((one.place for one in late if one.value == id or one.value.startswith(f"{id}:")), "") if late else None


def _given(key: str, then: model.Facts) -> list[tuple[str, str]] | model.Unknown:
    """The items with their places; of those that stand together on a line, the last line's."""
    setting = registry.by_key(key)
    items = setting.read(then)
    if isinstance(items, model.Unknown):
        return items
    giving = [item for item in items if not item.hides]
    if setting.whole and giving:
        giving = [item for item in giving if item.place == giving[-1].place]
    return [(item.value, item.place) for item in giving]
