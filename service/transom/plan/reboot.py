"""What stands around a reboot, in the order in which it can work. Pure.

    simulate → (where it is asked for: empty the node, boot the change once) → keep what boots → arm the way back
    → change files and rebuild → empty the node, if it is not → reboot → confirm → bring the guests back → change guests

Armed is the node before its first file changes: emptying it takes its time and may fail, and whatever reboots the node then boots
the change. A plan without a reboot is only simulated. Plans of documents and plans of an undo both come through here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

from transom import model
from transom.host import derive, devices, registry
from transom.host.settings import vfio_ids
from transom.plan import actions as acts
from transom.plan import drain, simulate, trial
from transom.spec import wish


def around(
    actions: Sequence[acts.Action], node: wish.NodeWish, facts: model.Facts, *, undo: bool = False
) -> tuple[acts.Action, ...]:
    """``actions`` with what their reboot asks for; what comes after the reboot already, stays after all of that. A trial is a
    reboot too: the node is emptied before it, and stays so until the one that counts. ``undo``: nothing of what documents want is
    looked for afterwards."""
    simulated, tried = tuple(simulate.first(actions, node, facts)), tuple(trial.first(actions, node, facts))
    at = next((number for number, action in enumerate(actions) if isinstance(action, acts.Reboot)), None)
    if at is None:
        return (*simulated, *actions)
    changes, reboot, later = actions[:at], actions[at], actions[at + 1 :]
    assert isinstance(reboot, acts.Reboot)
    emptied = tuple(_emptied(node, facts))
    return (
        *simulated,
        *((*emptied, *tried) if tried else ()),
        *_first(reboot, changes, node, facts),
        *changes,
        *(() if tried else emptied),
        reboot,
        *_after(reboot, {} if undo else _wants(node, facts), node, facts),
        *later,
    )


def _emptied(node: wish.NodeWish, facts: model.Facts) -> Iterator[acts.Action]:
    if emptied := drain.steps(node, facts):
        yield emptied[0]


def _first(
    reboot: acts.Reboot, changes: Sequence[acts.Action], node: wish.NodeWish, facts: model.Facts
) -> Iterator[acts.Action]:
    """Before anything on the node is changed."""
    kernel, cmdline, loader = facts.boot.kernel, facts.boot.cmdline, facts.boot.loader
    paths = tuple(sorted({one.path for one in changes if _changes_host(one)}))
    yield acts.KeepBoot(reboot.boot_id, "" if isinstance(kernel, model.Unknown) else kernel, paths)
    yield acts.ArmRollback(
        reboot.boot_id,
        () if isinstance(cmdline, model.Unknown) else cmdline,
        "" if isinstance(loader, model.Unknown) else loader,
        tuple(one.describe() for one in changes),
        node.confirm_within,
    )


def _after(
    reboot: acts.Reboot, wants: Mapping[str, str], node: wish.NodeWish, facts: model.Facts
) -> Iterator[acts.Action]:
    """Once another boot answers."""
    yield acts.Confirm(reboot.boot_id, tuple(wants), {path: only for path, only in wants.items() if only})
    if emptied := drain.steps(node, facts):
        yield emptied[1]


def _changes_host(action: acts.Action) -> TypeGuard[acts.WriteFile | acts.RemoveFile | acts.RestoreFile]:
    """Whether it changes a file that a rollback brings back. A VM's configuration and a ROM are none: no boot reads them."""
    if isinstance(action, acts.RestoreFile):
        return action.vmid is None and not action.path.startswith(f"{acts.ROM_FOLDER}/")
    return isinstance(action, acts.FILE_ACTIONS)


def _wants(node: wish.NodeWish, facts: model.Facts) -> dict[str, str]:
    """What must be in effect in the next boot, of what applies on this host: ``setting/item`` → for which kernels alone."""
    wanted = derive.derive(devices.by_address(node, facts.pci), facts.pci)
    found: dict[str, str] = {}
    for setting in registry.SETTINGS:
        selection = setting.select(wanted.get(setting.key, ()), facts)
        if setting.impact is model.Impact.HOST_REBOOT and not isinstance(selection, model.Unknown):
            found |= {f"{setting.key}/{want.value}": want.kernel for want in selection.wants}
    return found


def missing(action: acts.Confirm, facts: model.Facts) -> tuple[str, ...]:
    """What is against confirming the boot that ``facts`` show, what cannot be told included; empty when it is as planned."""
    if isinstance(facts.boot.boot_id, model.Unknown):
        return (f"the boot id cannot be read: {facts.boot.boot_id.unknown}",)
    if facts.boot.boot_id == action.boot_id:
        return ("the node has not rebooted",)
    found = []
    for path in action.wants:
        key, _, item = path.partition("/")
        if _not_for_this_kernel(key, item, action.only.get(path, ""), facts):
            continue
        seen = registry.by_key(key).effective(item, facts)
        if seen is False:
            found.append(f"{path} is not in effect{_instead(key, item, facts)}")
        elif isinstance(seen, model.Unknown) and not _does_not_show(key, item, facts):
            found.append(f"whether {path} is in effect cannot be told: {seen.unknown}")
    return tuple(found)


def _instead(key: str, item: str, facts: model.Facts) -> str:
    """What has the devices that the item gives to vfio-pci."""
    if key not in ("vfio_ids", "driver_override") or isinstance(facts.pci, model.Unknown):
        return ""
    concerned = [one for one in facts.pci if _concerns(key, item, one) and one.driver != "vfio-pci"]
    had = [f"{one.address} has {one.driver or 'no driver'}" for one in concerned]
    return f" ({', '.join(had)})"


def _concerns(key: str, item: str, device: model.PciDevice) -> bool:
    if key == "vfio_ids":
        return vfio_ids.matches(item, device)
    address, _, id = item.partition("=")
    return (device.address, device.id) == (address, id)


def _not_for_this_kernel(key: str, item: str, only: str, facts: model.Facts) -> bool:
    """The kernel that booted may be another than the one that the plan saw (``vfio_virqfd`` is gone since 6.2)."""
    selection = registry.by_key(key).select((wish.Want(item, "", kernel=only),), facts)
    return not isinstance(selection, model.Unknown) and bool(selection.skipped)


def _does_not_show(key: str, item: str, facts: model.Facts) -> bool:
    """Whether a running host never tells of it: a parameter that its module hides or that no module is loaded for, a device that it
    does not have."""
    if key == "module_options":
        return True
    if isinstance(facts.pci, model.Unknown):
        return False
    return key in ("vfio_ids", "driver_override") and not any(_concerns(key, item, one) for one in facts.pci)
