"""Changing a VM's configuration: PUT and POST config, `qm set`.

As in PVE every change is first written as pending, then applied: all at once on a stopped VM, what can change live on a
running one. `revert` sets a key to its current value; a failed hot-plug answers 400 while the rest stays applied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from transom.lab.pve import (
    access,
    cloudinit,
    conf,
    devices,
    drives,
    formats,
    hotplug,
    node,
    permit,
    prepare,
    replies,
    runstate,
    scalars,
    schema,
    storage,
)

Params = dict[str, "str | None"]  # None: JSON null
DROPPED = ("node", "vmid", "digest", "background_delay", "skip_cloud_init", "import-working-storage")


@dataclass
class Change:
    """One request. `line` is what the task and the cluster log say about it."""

    here: node.Node
    caller: access.Caller
    vmid: int
    params: Params
    digest: str = ""
    skiplock: bool = False
    force: bool = False
    delete: list[str] = field(default_factory=list)
    revert: list[str] = field(default_factory=list)
    line: str = ""

    def run(self, log: Callable[[str], None], notice: Callable[[str], None] | None = None) -> None:
        """Makes the change under the VM's lock; `notice` hears of waiting for it."""
        with self.here.place.locked(self.vmid, notice):
            self.check(update=True)
            log(self.line)
            self.write_pending(log)
            self.apply()

    # -- before the lock

    def check(self, update: bool) -> conf.Conf:
        """Digest, lock and balloon; resolves `revert`, which only the locked pass turns into deletes."""
        current = self.here.load(self.vmid)
        if self.digest not in ("", "0", current.digest):
            replies.die("checksum mismatch (file change by other user?)")
        if not self.skiplock:
            check_lock(current)
        for name in self.revert:
            if name in current.main:
                self.params[name] = str(current.main[name])
            elif name in current.pending and update:
                self.delete.append(name)
        check_balloon(self.params, current)
        return current

    # -- under the lock

    def write_pending(self, log: Callable[[str], None]) -> None:
        current = self.here.load(self.vmid)
        for name in self.delete:
            current = self.here.load(self.vmid)
            if name not in current.main and name not in current.pending:
                log(f"cannot delete '{name}' - not set in current configuration!")
                continue
            self.delete_one(current, name)
            self.here.save(self.vmid, current)
        for name in sorted(self.params):
            current = self.here.load(self.vmid)
            value = self.params[name]
            if name in current.pending and str(current.pending[name]) == value:
                continue
            self.set_one(current, name, value, log)
            current.keep(name)
            self.here.save(self.vmid, current)

    def delete_one(self, current: conf.Conf, name: str) -> None:
        was_pending = current.pending.pop(name, None)
        value = current.main.get(name, was_pending)
        self.drop_from_boot_order(current, name)
        if name.startswith("unused"):
            self.free_unused(current, name, str(value))
            return
        if schema.of_kind(name, "serial"):
            permit.check_serial(self.here, self.caller, self.vmid, name, [str(value)], "delete")
        elif drives.is_drive(name):
            check_protection(current, f"can't remove drive '{name}'")
            permit.check_value(self.here, self.caller, self.vmid, name, str(value))
            if was_pending is not None:
                hotplug.keep_as_unused(self.here, self.vmid, current, name, str(was_pending))
        elif name == "tags":
            self.check_tags()
            current.main.pop(name, None)
            return
        elif not schema.of_kind(name, "net") or name in current.main:
            permit.check_value(self.here, self.caller, self.vmid, name, str(value))
        current.delete_later(name, self.force)

    def free_unused(self, current: conf.Conf, name: str, volid: str) -> None:
        check_protection(current, f"can't remove unused disk '{volid}'")
        self.here.access.check_vm(self.caller, self.vmid, schema.DISK)
        storage.free(self.here, volid)
        current.main.pop(name, None)

    def drop_from_boot_order(self, current: conf.Conf, name: str) -> None:
        order = boot_order(current)
        if name in order:
            order.remove(name)
            current.pending["boot"] = f"order={';'.join(order)}" if order else ""

    def set_one(self, current: conf.Conf, name: str, value: str | None, log: Callable[[str], None]) -> None:
        if value is None:
            current.pending[name] = None
            return
        old = current.main.get(name)
        if schema.of_kind(name, "serial"):
            values = [value] if old is None else [value, str(old)]
            permit.check_serial(self.here, self.caller, self.vmid, name, values, "modify")
        else:
            for one in ([str(old)] if old is not None else []) + [value]:
                permit.check_value(self.here, self.caller, self.vmid, name, one)
        if name == "cipassword":
            current.main[name] = (
                value if value.startswith("$") else f"$5$lab${hashlib.sha256(value.encode()).hexdigest()}"
            )
            return
        current.pending[name] = value
        if drives.is_drive(name):
            self.set_drive(current, name, value, log)
        elif name == "tags":
            self.check_tags()
            current.pending[name] = schema.tags(value)
        elif name == "machine":
            prepare.machine(value)
        elif name == "vga":
            prepare.vga(value)
        elif name == "ostype":
            self.pin_machine(current, value, log)
        elif name == "boot":
            self.set_boot(current, value)

    def set_drive(self, current: conf.Conf, name: str, value: str, log: Callable[[str], None]) -> None:
        drive = drives.parse(name, value)
        if drive is None:
            replies.bad_parameters({name: "unable to parse drive options"})
        cloudinit.refuse_second(name, drive, current.main, current.pending)
        lines: list[str] = []
        current.pending[name] = drives.render(storage.create_disk(self.here, self.vmid, drive, lines))
        for line in lines:
            log(line)
        order = boot_order(current)
        if order and drive.cdrom and name not in order:
            current.pending["boot"] = f"order={';'.join([*order, name])}"

    def check_tags(self) -> None:
        self.here.access.check_vm(self.caller, self.vmid, schema.OPTIONS)

    def pin_machine(self, current: conf.Conf, ostype: str, log: Callable[[str], None]) -> None:
        if "machine" in self.params or "machine" in self.delete or "machine" in current.pending:
            return
        if pinned := prepare.pinned_machine(self.here, current.text("machine"), ostype):
            log(f"pinning machine type to '{pinned.split(',')[0]}' for Windows guest OS")
            current.pending["machine"] = pinned

    def set_boot(self, current: conf.Conf, value: str) -> None:
        order = formats.parse_property_string(devices.BOOT, value).get("order", "")
        names = scalars.split_list(order)
        for name in names:
            there = name in current.main or name in current.pending or name in self.params
            if not there or name in self.delete:
                replies.die(f"invalid bootorder: device '{name}' does not exist'")
        if names:
            current.pending["boot"] = f"order={';'.join(names)}"
            if "bootdisk" in current.main:
                current.delete_later("bootdisk")

    def apply(self) -> None:
        current = self.here.load(self.vmid)
        if current.cleanup_pending():
            current = self.here.save(self.vmid, current)
        if not current.pending:
            return
        running = runstate.read(self.here.place, self.vmid)
        errors = (hotplug.plug(self.here, self.vmid, current, running, set(self.params) | set(self.delete)) if running
                  else hotplug.apply_pending(self.here, self.vmid, current))  # fmt: skip
        if errors:
            replies.bad_parameters(errors)


def prepare_change(here: node.Node, caller: access.Caller, vmid: int, given: Params) -> Change:
    """Reads a request in PVE's order: options, names, values, rights. Nothing is written."""
    params = dict(given)
    digest = params.get("digest") or ""
    for name in DROPPED:
        params.pop(name, None)
    change = Change(here, caller, vmid, params, digest, line=describe(vmid, params))
    change.skiplock = pop_flag(params, "skiplock")
    if change.skiplock and not caller.root:
        replies.bad_parameters({"skiplock": "Only root may use this option."})
    deletes, reverts = params.pop("delete", None) or "", params.pop("revert", None) or ""
    change.force = pop_flag(params, "force")
    prepare.ssh_keys(params.get("sshkeys") or "")
    if not deletes and not reverts and not params:
        replies.die("no options specified")
    texts = {name: value for name, value in params.items() if value is not None}
    prepare.cdrom_alias(texts)
    change.revert = read_reverts(reverts, texts)
    change.delete = read_deletes(deletes, texts, change.revert)
    prepare.values(here, texts)
    change.params = {**{name: None for name, value in params.items() if value is None}, **texts}
    permit.check_keys(here, caller, vmid, change.delete)
    permit.check_keys(here, caller, vmid, sorted(change.params))
    permit.check_storage(here, caller, vmid, texts)
    for name in sorted(texts):
        if schema.of_kind(name, "net"):
            permit.check_bridge(here, caller, texts[name])
    change.check(update=False)
    return change


def pop_flag(params: Params, name: str) -> bool:
    return params.pop(name, None) == "1"


def describe(vmid: int, params: Params) -> str:
    """`update VM 700: -name x`; a password is hidden."""
    words = [f"-{name} {'<hidden>' if name == 'cipassword' else params[name] or ''}" for name in sorted(params)]
    return f"update VM {vmid}: {' '.join(words)}"


def read_reverts(text: str, params: dict[str, str]) -> list[str]:
    for name in (names := scalars.split_list(text)):
        if not schema.exists(name):
            replies.bad_parameters({"revert": f"unknown option '{name}'"})
        if name in params:
            replies.bad_parameters({"delete": f"you can't use '-{name}' and -revert {name}' at the same time"})
    return names


def read_deletes(text: str, params: dict[str, str], reverts: list[str]) -> list[str]:
    names = ["ide2" if name == "cdrom" else name for name in scalars.split_list(text)]
    for name in names:
        if name in params:
            replies.bad_parameters({"delete": f"you can't use '-{name}' and -delete {name}' at the same time"})
        if name in reverts:
            replies.bad_parameters({"revert": f"you can't use '-delete {name}' and -revert {name}' at the same time"})
        if not schema.exists(name):
            replies.bad_parameters({"delete": f"unknown option '{name}'"})
    return names


def check_lock(current: conf.Conf) -> None:
    if lock := current.main.get("lock"):
        replies.die(f"VM is locked ({lock})")


def check_protection(current: conf.Conf, what: str) -> None:
    if current.main.get("protection"):
        replies.die(f"{what} - protection mode enabled")


def check_balloon(params: Params, current: conf.Conf) -> None:
    if not params.get("memory") and params.get("balloon") is None:
        return
    memory = params.get("memory") or current.pending.get("memory") or current.main.get("memory")
    balloon = params.get("balloon")
    if balloon is None:
        balloon = str(current.pending.get("balloon") or current.main.get("balloon") or 0)
    if int(balloon) > memory_of(str(memory or "")):
        replies.die("balloon value too large (must be smaller than assigned memory)")


def memory_of(value: str) -> int:
    """MiB of `memory:`; 512 when unset."""
    parts = formats.parse_property_string(devices.MEMORY, value) if value.strip() else {}
    return int(parts.get("current", 512))


def boot_order(current: conf.Conf) -> list[str]:
    value = current.text("boot")
    return scalars.split_list(formats.parse_property_string(devices.BOOT, value).get("order", ""))
