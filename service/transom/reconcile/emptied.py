"""What a node that is emptied for a reboot runs, and the record of what it is owed: read, written, given back."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from collections.abc import Mapping, Sequence

from transom import errors, model
from transom.guest import conf, order
from transom.host.probes import drained, ha
from transom.reconcile import deadman
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.ssh import files as remote
from transom.ssh import pump

TRIES = 3
"""How often giving back is tried; then a person has to look."""
_LIMIT = 600
"""Seconds for a command of PVE's; a start waits for volumes and locks."""
# `qm list` names a VM without a name `VM 102`: two words, where every other name is one.
_GUESTS = r"""
set -eu
vms=$(qm list)
printf '%s\n' "$vms" | sed -nE 's/^ *([0-9]+) +(VM [0-9]+|[^ ]+) +running .*/ran qemu\/\1/p'
if command -v pct >/dev/null; then
  containers=$(pct list)
  printf '%s\n' "$containers" | while read -r id status _; do if [ "$status" = running ]; then echo "ran lxc/$id"; fi; done
fi
for kind in qemu-server lxc; do
  for path in /etc/pve/$kind/*.conf; do
    [ -f "$path" ] || continue
    name=${path##*/}
    printf 'conf %s/%s ' "$kind" "${name%.conf}"; base64 -w0 "$path"; echo
  done
done
[ ! -f /etc/pve/ha/resources.cfg ] || { printf 'ha - '; base64 -w0 /etc/pve/ha/resources.cfg; echo; }
[ ! -f /etc/pve/ha/manager_status ] || { printf 'status - '; base64 -w0 /etc/pve/ha/manager_status; echo; }
systemctl is-active pve-guests 2>/dev/null | sed 's/^/starting /' || :
"""
_TARGET = "pvesh get /nodes --output-format json"


@dataclasses.dataclass(frozen=True)
class Seen:
    """Guests are ``qemu/112``, ``lxc/104``, in the order in which PVE starts them."""

    running: tuple[str, ...]
    configs: Mapping[str, Mapping[str, str]]
    managed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Guest → its HA service, for those that HA keeps running."""
    active: tuple[str, ...] = ()
    """What HA has at work on this node."""
    starting: bool = False
    """The node is still starting its guests after a boot."""


def look(world: w.World) -> Seen:
    """Rejected when the node cannot tell."""
    done = world.host.script(_GUESTS, timeout=_LIMIT, read_only=True)
    if done.exit != 0:
        raise errors.Rejected(f"which guests run on {world.node} cannot be told: {said(done)}")
    try:
        return _seen(done.stdout.decode("utf-8", "replace"), world.node)
    except (ValueError, binascii.Error) as error:
        raise errors.Garbled(f"which guests run on {world.node}: {error}") from error


def _seen(text: str, node: str) -> Seen:
    running: set[str] = set()
    configs: dict[str, Mapping[str, str]] = {}
    files: dict[str, bytes] = {}
    starting = False
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        name, _, packed = rest.partition(" ")
        if word == "ran":
            running.add(name)
        elif word == "conf":
            values = conf.parse(base64.b64decode(packed).decode("utf-8", "replace")).current()
            configs[name.replace("qemu-server/", "qemu/")] = values
        elif word == "starting":
            starting = name == "activating"
        else:
            files[word] = base64.b64decode(packed)
    limits = {guest: order.startup(configs.get(guest, {}).get("startup", "")) for guest in running}
    return Seen(
        running=tuple(guest for group in order.groups(limits) for guest in group),
        configs={**{guest: {} for guest in running}, **configs},
        managed=_managed(files.get("ha", b"").decode("utf-8", "replace")),
        active=ha.make(node).parse(files.get("status", b"")),
        starting=starting,
    )


def _managed(resources: str) -> dict[str, str]:
    """``vm: 100`` with its lines below, one section each; a service whose state HA is told to leave alone is not HA's."""
    found: dict[str, str] = {}
    guest = service = ""
    for line in resources.splitlines():
        kind, colon, number = line.partition(":")
        if colon and not line[:1].isspace() and kind in ("vm", "ct") and number.strip().isdigit():
            guest, service = f"{'qemu' if kind == 'vm' else 'lxc'}/{number.strip()}", f"{kind}:{number.strip()}"
            found[guest] = service
        elif line.split() in (["state", "ignored"], ["state", "disabled"], ["state", "stopped"]):
            found.pop(guest, None)
    return found


def target(world: w.World) -> str:
    """Another node that is online, the one with the most memory free; empty when there is none."""
    done = world.host.run(_TARGET.split(), read_only=True)
    try:
        rows = json.loads(done.stdout) if done.exit == 0 else []
        online = [row for row in rows if row["status"] == "online" and row["node"] != world.node]
        return str(max(online, key=lambda row: row.get("maxmem", 0) - row.get("mem", 0))["node"]) if online else ""
    except (ValueError, KeyError, TypeError) as error:
        raise errors.Garbled(f"the nodes of the cluster: {error}") from error


# --- the record ------------------------------------------------------------------------------------------------------


def read(host: w.Host) -> model.Drained | None:
    """Garbled when it is none of ours."""
    data = remote.read(host, drained.PATH) if w.has_shell(host) else None
    try:
        return drained.parse(data) if data else None
    except ValueError as error:
        raise errors.Garbled(f"{drained.PATH}: {error}") from error


def write(host: w.Host, record: model.Drained | None) -> None:
    """None removes it: nothing is owed."""
    if record is not None:
        put(host, drained.PATH, json.dumps(model.to_json(record), indent=1) + "\n")
    elif (present := remote.read(host, drained.PATH)) is not None:
        remote.remove(host, drained.PATH, expect=remote.sha256(present), backup=None)


def put(host: w.Host, path: str, text: str) -> None:
    """Whatever was there."""
    present, data = remote.read(host, path), text.encode()
    if present != data:
        expect = remote.sha256(present) if present is not None else None
        remote.write(host, path, data, mode=0o600, expect=expect, backup=None)


_WAITS = '[ -e "$1" ] && read -r _ boot _ <"$1" && [ "$boot" != "$(cat /proc/sys/kernel/random/boot_id)" ]'


def waits_for_confirmation(host: w.Host) -> bool:
    """Whether the node has rebooted, and will roll back by itself unless somebody confirms that. Armed before a reboot that has not
    come, it does not: the mark names the boot that it was made in."""
    return host.script(_WAITS, [f"{eff.KEEP}/rollback/armed"], read_only=True).exit == 0


def run(world: w.World, words: Sequence[str]) -> None:
    """Rejected, with its own words, when it fails."""
    done = world.host.run(words, timeout=_LIMIT)
    if done.exit != 0:
        raise errors.Rejected(f"{' '.join(words)}: {said(done)}")


def said(done: pump.Completed) -> str:
    """What a command complained of."""
    text = (done.stdout + done.stderr).decode(errors="replace")
    return " ".join(text.split())[-300:] or f"exit {done.exit}"


# --- giving back -----------------------------------------------------------------------------------------------------


def give_back(world: w.World, record: model.Drained) -> model.Drained | None:
    """HA, ``onboot`` and guests as they were; what is left when something does not come, with the reasons, for another try."""
    seen = _started(world)
    failed: list[str] = []
    onboot = {vmid: held for vmid, held in record.onboot.items() if not _onboot(vmid, held, record, world, failed)}
    if record.onboot and not onboot:
        _not_owed(record.run, world, failed)
    services = {
        service: state
        for service, state in record.services.items()
        if not _tried(world, ["ha-manager", "set", service, "--state", state], failed)
    }
    leave = ["ha-manager", "crm-command", "node-maintenance", "disable", world.node]
    maintenance = record.maintenance and not _tried(world, leave, failed)
    moved = {guest: to for guest, to in record.moved.items() if not _home(guest, to, seen, world, failed)}
    ran = _running_again(record, moved, seen, world, failed)
    left = model.Drained(
        record.run,
        record.boot_id,
        ran,
        moved,
        onboot,
        maintenance,
        services,
        tries=record.tries + 1,
        said=tuple(failed),
    )
    found = left if left.owes else None
    write(world.host, found)
    return found


def _started(world: w.World) -> Seen:
    """Once the node has started what it starts by itself."""
    deadline = world.monotonic() + _LIMIT
    while (seen := look(world)).starting and world.monotonic() < deadline:
        world.sleep(2)
    return seen


def _tried(world: w.World, words: Sequence[str], failed: list[str]) -> bool:
    try:
        run(world, words)
    except (errors.Rejected, errors.Busy, errors.Void) as error:
        failed.append(str(error))
        return False
    return True


def _onboot(vmid: int, held: model.HeldStart, record: model.Drained, world: w.World, failed: list[str]) -> bool:
    """To the byte where nobody has changed the VM since; else the one key."""
    path = eff.guest_path(vmid)
    present = remote.read(world.host, path)
    if present is None:
        return True  # gone with its VM
    now, backup = _conf(present), eff.Context(record.run, "").backup
    given = now.current().get("onboot") == "1"
    image = remote.read(world.host, f"{backup}/{held.before}") if given else None
    # the node has given it back by itself, through PVE, which writes the file in its own way
    same = image is not None and image != present and _conf(image) == now
    if same or (held.held and remote.sha256(present) == held.held):
        try:
            remote.restore(world.host, path, expect=remote.sha256(present), backup=backup, on_pmxcfs=True)
        except (errors.Void, errors.Rejected) as error:  # the image is of an earlier change of this run
            world.say(f"VM {vmid}: {error}")
        else:
            return True
    return given or _tried(world, ["qm", "set", str(vmid), "--onboot", "1"], failed)


def _conf(data: bytes) -> conf.GuestConf:
    return conf.parse(data.decode("utf-8", "replace"))


def _not_owed(run: str, world: w.World, failed: list[str]) -> None:
    try:
        deadman.given(world.host, run)
    except (errors.Rejected, errors.Busy) as error:
        failed.append(str(error))


def _home(guest: str, node: str, seen: Seen, world: w.World, failed: list[str]) -> bool:
    """Back from ``node``; a guest that is neither there nor here any more is somebody else's to look after."""
    if guest in seen.configs:
        return True
    how = ["--online", "1"] if guest.startswith("qemu/") else ["--restart", "1"]
    words = ["pvesh", "create", f"/nodes/{node}/{guest}/migrate", "--target", world.node, *how]
    if not _tried(world, words, failed):
        return False
    deadline = world.monotonic() + 3600
    while guest not in look(world).configs:
        if world.monotonic() >= deadline:
            failed.append(f"{order.named([guest])} has not come back from {node}")
            return False
        world.sleep(2)
    return True


def _running_again(
    record: model.Drained, moved: Mapping[str, str], seen: Seen, world: w.World, failed: list[str]
) -> tuple[str, ...]:
    """The guests that still do not run. HA starts its own; one whose configuration is gone has been deleted."""
    wanted = [one for one in record.ran if one in seen.configs and one not in seen.managed and one not in moved]
    reasons: dict[str, str] = {}
    for guest in [one for one in wanted if one not in seen.running]:
        world.say(f"starting {order.named([guest])}, which ran before the reboot")
        done = world.host.run([order.tool(guest), "start", str(order.number(guest))], timeout=_LIMIT)
        if done.exit != 0:
            reasons[guest] = said(done)
        else:
            world.sleep(order.startup(seen.configs[guest].get("startup", "")).up)
    running = look(world).running if reasons else wanted  # one that another started meanwhile says so by failing
    still = [guest for guest in reasons if guest not in running]
    failed += [f"{order.named([guest])} does not start: {reasons[guest]}" for guest in still]
    return tuple(still)
