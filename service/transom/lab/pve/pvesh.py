"""`pvesh`: the API from root's shell, over the same table of routes."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from transom.lab.pve import access, neighbour, node, refusals, replies, routes, routing, tables, words
from transom.lab.pve.formats import Value

_BACK: Final = re.compile(r"/nodes/([^/]+)/qemu/(\d+)/migrate")
METHODS: Final = {"get": "GET", "ls": "GET", "set": "PUT", "create": "POST", "delete": "DELETE"}
FORMATS: Final = ("text", "json", "json-pretty", "yaml")
SWITCHES: Final = {"output-format": False, "noborder": True, "noheader": True, "quiet": True, "noproxy": True,
                   "human-readable": False}  # fmt: skip


def run(here: node.Node, argv: Sequence[str]) -> int:
    """Exit code 0 also when a task failed: the tool only starts it."""
    verb, path = (argv[0] if argv else ""), (argv[1] if len(argv) > 1 else "")
    if verb == "usage":
        return usage(path)
    if verb not in METHODS or not path:
        print(f"ERROR: unknown command 'pvesh {verb}'" if verb else "ERROR: no command specified", file=sys.stderr)
        return 255
    if verb == "create" and (back := _BACK.fullmatch(path)) and back[1] in neighbour.online(here):
        return come_back(here, back[1], int(back[2]))
    found = routes.TABLE.find(METHODS[verb], path)
    if found is None:
        print(f"No '{verb}' handler defined for '{path}'", file=sys.stderr)
        return 1
    line = f"pvesh {verb} <api_path> [OPTIONS] [FORMAT_OPTIONS]"
    try:
        parsed = words.parse(argv[2:], found[0].params, SWITCHES)
    except words.Misused as error:
        print(f"{error}\n{line}", file=sys.stderr)
        return 255
    params = {name: value for name, value in parsed.options.items() if name not in SWITCHES}
    request = routing.Request(here, access.ROOT, {}, params)
    try:
        data = routing.dispatch(routes.TABLE, here, access.ROOT, METHODS[verb], request, path)
    except replies.Refused as error:
        return refusals.told(error, line)
    if here.tasks.last_error:
        print(here.tasks.last_error, file=sys.stderr)
    show(data.data if isinstance(data, routing.Answer) else data, parsed.options)
    return 0


def come_back(here: node.Node, name: str, vmid: int) -> int:
    """A migration that is asked of the other node."""
    here.tasks.start("qmigrate", str(vmid), access.ROOT, lambda log: neighbour.come_back(here, vmid, name, log))
    if here.tasks.last_error:
        print(here.tasks.last_error, file=sys.stderr)
        return 255
    return 0


def show(data: object, options: Mapping[str, Value]) -> None:
    kind = str(options.get("output-format", "text"))
    if "quiet" in options or (data is None and kind == "text"):
        return
    if kind == "yaml":
        print(tables.as_yaml(data))
    elif kind.startswith("json"):
        if data is not None:
            print(tables.as_json(data, kind == "json-pretty"))
    else:
        print(tables.as_text(data, "noborder" not in options, "noheader" not in options))


def usage(path: str) -> int:
    verbs = [verb for verb in ("get", "set", "create", "delete") if routes.TABLE.find(METHODS[verb], path)]
    for verb in verbs:
        print(f"USAGE: pvesh {verb} {path}  [OPTIONS]")
    if not verbs:
        print(f"no such resource '{path}'", file=sys.stderr)
    return 0 if verbs else 255
