"""`qm`: VMs from root's shell. Most commands are one call of the API; a few read or judge the files themselves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from transom.lab.pve import access, api_vms, command, conf, node, refusals, replies, routing, words
from transom.lab.pve.formats import Value

VM: Final = "/nodes/{node}/qemu/{vmid}"
TABLE: Final = routing.Table(api_vms.ROUTES)  # not all routes: the tool starts faster with its own


@dataclass(frozen=True)
class Command:
    """One call: positional words after the VM's id fill `names`; `show` prints the result."""

    method: str
    path: str
    names: tuple[str, ...] = ()
    show: Callable[[object], None] | None = None
    vmid_in_body: bool = False

    @property
    def line(self) -> str:
        return " ".join(f"<{name}>" for name in (("vmid",) if "{vmid}" in self.path or self.vmid_in_body else ())
                        + self.names)  # fmt: skip


def show_config(data: object) -> None:
    assert isinstance(data, dict)
    for name in sorted(data):
        if name != "digest":
            print(f"{name}: {encoded(name, data[name])}")


def encoded(name: str, value: object) -> str:
    if name != "description":
        return str(value)
    return "\n".join(conf.encode_text(line) for line in str(value).split("\n"))


def show_pending(data: object) -> None:
    assert isinstance(data, list)
    for row in sorted(data, key=lambda one: str(one["key"])):
        name = row["key"]
        if name == "digest":
            continue
        if "value" in row:
            print(f"{'del' if row.get('delete') else 'cur'} {name}: {encoded(name, row['value'])}")
        if "pending" in row and not row.get("delete"):
            print(f"new {name}: {encoded(name, row['pending'])}")


def show_status(data: object) -> None:
    assert isinstance(data, dict)
    print(f"status: {data['status']}")


def show_snapshots(data: object) -> None:
    assert isinstance(data, list)
    for depth, row in enumerate(sorted(data, key=lambda one: (one["name"] == "current", one.get("snaptime", 0)))):
        print(f"{'  ' * depth}`-> {row['name']:<12} {row['description'] or 'no-description'}")


def show_list(data: object) -> None:
    assert isinstance(data, list)
    print(f"{'VMID':>10} {'NAME':<20} {'STATUS':<10} {'MEM(MB)':<10} {'BOOTDISK(GB)':>12} {'PID':<10}")
    for row in sorted(data, key=lambda one: int(one["vmid"])):
        size = f"{int(row['maxdisk']) / 2**30:.2f}"
        memory = int(row["maxmem"]) // 2**20
        print(
            f"{row['vmid']:>10} {row['name']:<20} {row['status']:<10} {memory:<10} {size:>12} {row.get('pid', 0):<10}"
        )


COMMANDS: Final[Mapping[str, Command]] = {
    "set": Command("PUT", f"{VM}/config"),
    "config": Command("GET", f"{VM}/config", show=show_config),
    "pending": Command("GET", f"{VM}/pending", show=show_pending),
    "create": Command("POST", "/nodes/{node}/qemu", vmid_in_body=True),
    "destroy": Command("DELETE", VM),
    "start": Command("POST", f"{VM}/status/start"),
    "stop": Command("POST", f"{VM}/status/stop"),
    "shutdown": Command("POST", f"{VM}/status/shutdown"),
    "reboot": Command("POST", f"{VM}/status/reboot"),
    "reset": Command("POST", f"{VM}/status/reset"),
    "suspend": Command("POST", f"{VM}/status/suspend"),
    "resume": Command("POST", f"{VM}/status/resume"),
    "status": Command("GET", f"{VM}/status/current", show=show_status),
    "list": Command("GET", "/nodes/{node}/qemu", show=show_list),
    "clone": Command("POST", f"{VM}/clone", ("newid",)),
    "template": Command("POST", f"{VM}/template"),
    "snapshot": Command("POST", f"{VM}/snapshot", ("snapname",)),
    "delsnapshot": Command("DELETE", f"{VM}/snapshot/{{snapname}}", ("snapname",)),
    "rollback": Command("POST", f"{VM}/snapshot/{{snapname}}/rollback", ("snapname",)),
    "listsnapshot": Command("GET", f"{VM}/snapshot", show=show_snapshots),
}


def run(here: node.Node, argv: Sequence[str]) -> int:
    verb, rest = (argv[0] if argv else ""), list(argv[1:])
    try:
        if verb == "showcmd":
            return show_command(here, rest)
        if verb == "unlock":
            return unlock(here, rest)
        if verb == "migrate" and len(rest) > 1:
            return migrate(here, vmid_of(rest), rest[1])
        if verb not in COMMANDS:
            print(f"ERROR: unknown command 'qm {verb}'" if verb else "ERROR: no command specified", file=sys.stderr)
            return 255
        return call(here, verb, COMMANDS[verb], rest)
    except words.Misused as error:
        print(f"{error}\n{usage(verb)}", file=sys.stderr)
        return 255
    except replies.Refused as error:
        return refusals.told(error, usage(verb))


def usage(verb: str) -> str:
    line = COMMANDS[verb].line if verb in COMMANDS else "<vmid>"
    return " ".join(filter(None, ("qm", verb, line, "[OPTIONS]")))


def call(here: node.Node, verb: str, todo: Command, argv: Sequence[str]) -> int:
    route = TABLE.exact[todo.path][todo.method]
    known = {name: prop for name, prop in route.params.items() if not (todo.vmid_in_body and name == "vmid")}
    switches = {"verbose": True} if verb == "status" else {}
    parsed = words.parse(argv, known, switches)
    wanted = (("vmid",) if "{vmid}" in todo.path or todo.vmid_in_body else ()) + todo.names
    if len(parsed.positional) < len(wanted):
        raise words.Misused("400 not enough arguments")
    if len(parsed.positional) > len(wanted):
        raise words.Misused("400 too many arguments")
    names = dict(zip(wanted, parsed.positional, strict=True))
    path = todo.path.format(node=here.name, **names)
    inside = {name: value for name, value in names.items() if f"{{{name}}}" not in todo.path}
    options: dict[str, Value] = {name: value for name, value in parsed.options.items() if name not in switches}
    request = routing.Request(here, access.ROOT, {}, {**options, **inside})
    data = routing.dispatch(TABLE, here, access.ROOT, todo.method, request, path)
    if "verbose" in parsed.options and isinstance(data, dict):
        for name in sorted(data):
            print(f"{name}: {data[name]}")
    elif todo.show:
        todo.show(data)
    if here.tasks.last_error:
        print(here.tasks.last_error.rstrip("\n"), file=sys.stderr)
        return 255
    return 0


def vmid_of(argv: Sequence[str]) -> int:
    if not argv:
        raise words.Misused("400 not enough arguments")
    if not argv[0].isdigit():
        raise words.Misused(
            f"400 Parameter verification failed.\nvmid: type check ('integer') failed - got '{argv[0]}'"
        )
    return int(argv[0])


def show_command(here: node.Node, argv: Sequence[str]) -> int:
    """Runs the rules of a start without starting, on what is not pending: exit 2 and the rule's text, 22 for a missing device."""
    vmid = vmid_of(argv)
    parsed = words.parse(argv[1:], {}, {"pretty": True, "snapshot": False})
    try:
        text = command.show(here, vmid, conf.Conf(main=here.load(vmid).main))
    except replies.Refused as error:
        print(error.text.rstrip("\n"), file=sys.stderr)
        return 22 if refusals.exit_code(error.text) == 22 else 2
    print(text.replace(" -", " \\\n  -") if "pretty" in parsed.options else text)
    return 0


def unlock(here: node.Node, argv: Sequence[str]) -> int:
    vmid = vmid_of(argv)
    with here.place.locked(vmid):
        current = here.load(vmid)
        current.main.pop("lock", None)
        here.save(vmid, current)
    return 0


def migrate(here: node.Node, vmid: int, target: str) -> int:
    """Only to a node of which this one has the folder alone (``neighbour``)."""
    from transom.lab.pve import neighbour  # the tool starts faster without it

    here.tasks.start("qmigrate", str(vmid), access.ROOT, lambda _: neighbour.leave(here, vmid, target))
    if here.tasks.last_error:
        print(here.tasks.last_error.rstrip("\n"), file=sys.stderr)
        return 255
    return 0
