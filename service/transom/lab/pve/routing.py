"""Paths, parameters and rights: a table of routes, and the order in which PVE checks a request.

Other node, then rights, then parameters, then the handler. The same table serves HTTP and `pvesh`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from transom.lab.pve import access, formats, node, replies
from transom.lab.pve.formats import Fields, Prop, Value

PATH_PROPS: Final[Fields] = {
    "node": Prop(optional=False, format="pve-node"),
    "vmid": Prop("integer", optional=False, format="pve-vmid"),
    "snapname": Prop(optional=False, format="pve-configid", max_length=40),
    "storage": Prop(optional=False, format="pve-storage-id"),
    "id": Prop(optional=False, format="pve-configid"),
    "userid": Prop(optional=False, format="pve-userid", max_length=64),
    "tokenid": Prop(optional=False, pattern=r"[A-Za-z][A-Za-z0-9.\-_]+"),
}
ANY: Final = Prop(optional=False)


@dataclass(frozen=True)
class Answer:
    """Data with an attribute beside it, as task lists have."""

    data: object
    total: int


@dataclass(frozen=True)
class Download:
    """A file instead of JSON."""

    content: bytes
    name: str
    content_type: str = "text/plain"


@dataclass(frozen=True)
class Right:
    """`path` may name path parameters. Without privileges everybody who is logged in may."""

    path: str = ""
    privileges: tuple[str, ...] = ()
    any_of: bool = False
    silent: bool = False  # refused without saying what is missing
    root_only: bool = False


LOGGED_IN: Final = Right()
ROOT_ONLY: Final = Right(root_only=True)


@dataclass(frozen=True)
class Request:
    node: node.Node
    caller: access.Caller
    path: Mapping[str, str]
    params: Mapping[str, Value] = field(default_factory=dict)
    files: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)  # field: (file name, content)

    @property
    def vmid(self) -> int:
        return int(self.path["vmid"])

    def text(self, name: str, default: str = "") -> str:
        value = self.params.get(name)
        return default if value is None else formats.as_text(value)

    def number(self, name: str, default: int = 0) -> int:
        return int(self.text(name) or default)

    def flag(self, name: str) -> bool:
        return self.text(name) == "1"

    def words(self, name: str) -> list[str]:
        value = self.params.get(name)
        return [str(one) for one in value] if isinstance(value, list) else []

    def texts(self) -> dict[str, str | None]:
        return {name: None if value is None else formats.as_text(value) for name, value in self.params.items()}


Handler = Callable[[Request], object]


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    handler: Handler
    params: Fields = field(default_factory=dict)
    right: Right = LOGGED_IN
    public: bool = False
    token: bool = True
    guard: Callable[[node.Node, access.Caller, Mapping[str, Value]], None] | None = None  # more than root is asked

    @property
    def names(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)


def vm_right(*privileges: str, any_of: bool = False) -> Right:
    return Right("/vms/{vmid}", privileges, any_of)


class Table:
    """All routes, found by method and path."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.exact: dict[str, dict[str, Route]] = {}
        self.patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        for route in routes:
            self.exact.setdefault(route.path, {})[route.method] = route
        for path, methods in sorted(self.exact.items(), key=lambda item: item[0].count("{")):
            pattern = re.sub(r"{(\w+)}", lambda found: f"(?P<{found[1]}>{'.+' if found[1] == 'volume' else '[^/]+'})",
                             path)  # fmt: skip
            self.patterns.append((re.compile(pattern), methods))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        for pattern, methods in self.patterns:
            found = pattern.fullmatch(path)
            if found and method in methods:
                return methods[method], found.groupdict()
        return None

    def methods(self, path: str) -> list[str]:
        return [name for pattern, known in self.patterns if pattern.fullmatch(path) for name in known]


def dispatch(table: Table, here: node.Node, caller: access.Caller | None, method: str, request: Request, path: str
             ) -> object:  # fmt: skip
    """Finds and runs the handler; `request.path` is filled in here."""
    found = table.find(method, path)
    if found is None:
        raise replies.Refused(501, f"Method '{method} {path}' not implemented")
    route, names = found
    if caller is None and not route.public:
        replies.unauthorized("No ticket")
    for name in sorted(request.params.keys() & names.keys()):
        if str(request.params[name]) != names[name]:
            replies.bad_parameters({name: "duplicate parameter (already defined in URI) with conflicting values!"})
    who = caller or access.Caller("")
    if who.token and not route.token:
        replies.denied(f"URI '{path}' not available with API token, need proper ticket.\n")
    check_right(here, who, route.right, names, route.public)
    if route.guard and not who.root:
        route.guard(here, who, {**request.params, **names})
    target = need_node(here, names.get("node") or request.text("check-node") or here.name)
    given = {name: value for name, value in request.params.items() if name not in names}
    params = checked(route, given, names)
    return route.handler(replace(request, node=target, caller=who, path=names, params=params))


def need_node(here: node.Node, name: str) -> node.Node:
    target = here.sibling(name)
    if target is None:
        replies.die(f"hostname lookup '{name}' failed - failed to get address info for: {name}: "
                    "Name or service not known")  # fmt: skip
    return target


def check_right(here: node.Node, caller: access.Caller, right: Right, names: Mapping[str, str], public: bool) -> None:
    if public or caller.root:
        return
    if right.root_only:
        replies.denied("user != root@pam")
    if not right.privileges:
        return
    path = right.path.format(**names)
    if right.silent and not here.access.may(caller, path, right.privileges, right.any_of):
        replies.denied()
    here.access.check(caller, path, *right.privileges, any_of=right.any_of)


def checked(route: Route, given: Mapping[str, Value], names: Mapping[str, str]) -> dict[str, Value]:
    """The parameters, arrays as lists; 400 with all complaints at once."""
    params: dict[str, Value] = {}
    for name, value in given.items():
        prop = route.params.get(name)
        params[name] = [value] if prop and prop.type == "array" and isinstance(value, str) and value else value
    fields = {**route.params, **{name: PATH_PROPS.get(name, ANY) for name in names}}
    if errors := formats.check_object(fields, {**params, **names}):
        replies.bad_parameters(errors)
    return params
