"""Whether a node can be worked on: each way to it, and each right that its documents need, tried out. Writes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from transom import errors, model
from transom.plan import rights
from transom.reconcile import right_node
from transom.reconcile import world as w
from transom.spec import wish

_TOLERABLE = 20
"""Seconds that clocks may differ: codes of a second factor are for 30."""


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was tried. ``ok`` is None when it could not be, or does not matter here; ``text`` is one line."""

    name: str
    """``api``, ``node``, ``quorum``, ``right``, ``root``, ``ssh``, ``time``."""
    ok: bool | None
    text: str
    path: str = ""
    privilege: str = ""
    """Of a ``right``."""


class Node(Protocol):
    """A node as the API lists it."""

    @property
    def name(self) -> str: ...
    @property
    def online(self) -> bool: ...


class Api(Protocol):
    """What is asked of the API."""

    @property
    def user(self) -> str: ...
    @property
    def root(self) -> Api | None: ...
    def version(self) -> str: ...
    def clock(self) -> float: ...
    def nodes(self) -> Sequence[Node]: ...
    def cluster_status(self) -> w.Quorum: ...
    def permissions(self, path: str = "") -> Mapping[str, frozenset[str]]: ...


def check(
    node: wish.NodeWish, api: Callable[[], Api], host: Callable[[], w.Host], now: Callable[[], float]
) -> tuple[Check, ...]:
    """Everything about ``node``, in the order in which it matters. ``api`` and ``host`` connect; ``now`` is our clock."""
    shell = tuple(_ssh(node, host)) if node.access.ssh_host else (Check("ssh", None, "no document gives a way in"),)
    return (*_api(node, api, now, ssh=shell[-1].ok is True), *shell)


def well(checks: Sequence[Check]) -> bool:
    """Whether nothing is wrong."""
    return all(one.ok is not False for one in checks)


def _api(node: wish.NodeWish, connect: Callable[[], Api], now: Callable[[], float], *, ssh: bool) -> Iterator[Check]:
    try:
        api = connect()
        version = api.version()
    except errors.TransomError as error:
        yield Check("api", False, str(error))
        yield Check("right", None, "not looked at: the API cannot be asked")
        return
    yield Check("api", True, f"Proxmox VE {version}, asked as {api.user}")
    yield from _tried("time", lambda: _time(api, now))
    yield from _tried("node", lambda: _node(node, api))
    yield from _tried("quorum", lambda: _quorum(api))
    yield from _tried("right", lambda: _rights(node, api, version))
    yield from _tried("root", lambda: _root(node, api, ssh=ssh))


def _tried(name: str, ask: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from list(ask())
    except errors.TransomError as error:
        yield Check(name, False, str(error))


def _time(api: Api, now: Callable[[], float]) -> Iterator[Check]:
    before = now()
    off = api.clock() - (before + now()) / 2
    text = f"the API's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} ours"
    yield Check("time", abs(off) <= _TOLERABLE, text)


def _node(node: wish.NodeWish, api: Api) -> Iterator[Check]:
    states = {one.name: one.online for one in api.nodes()}
    if node.pve_node not in states:
        known = ", ".join(sorted(states)) or "none"
        yield Check("node", False, f"the cluster has no node {node.pve_node}; it has {known}: see spec.pve_node")
    else:
        up = states[node.pve_node]
        yield Check("node", up, f"{node.pve_node} is {'online' if up else 'offline'}")


def _quorum(api: Api) -> Iterator[Check]:
    quorate = api.cluster_status().quorate
    yield Check("quorum", quorate, "the cluster is quorate" if quorate else "no quorum: nothing can be written")


def _rights(node: wish.NodeWish, api: Api, version: str) -> Iterator[Check]:
    needs = rights.needs([node], version)
    granted = {path: api.permissions(path).get(path, frozenset()) for path in dict.fromkeys(n.path for n in needs)}
    missing = [need for need in needs if not need.met(granted[need.path])]
    for need in missing:
        whose = f" ({need.document})" if need.document else ""
        text = f"{api.user} lacks {need.privilege} on {need.path}, to {need.why}{whose}; `transom mint` grants it"
        yield Check("right", False, text, need.path, need.privilege)
    if not missing:
        yield Check("right", True, f"{api.user} has all {len(needs)} rights that the documents need")


def _root(node: wish.NodeWish, api: Api, *, ssh: bool) -> Iterator[Check]:
    wanted = rights.root_only([node])
    said = "; ".join(f"{document}: {', '.join(keys)}" for document, keys in wanted.items())
    if api.root is not None:
        api.root.version()
        yield Check("root", True, "root-only keys are set over the API, as root@pam")
    elif ssh and node.access.ssh_user == "root":
        yield Check("root", True, "root-only keys are set over SSH, as root")
    elif wanted:
        yield Check("root", False, f"there is no way to set what only root may set: {said}")
    else:
        yield Check("root", None, "there is no way to set what only root may set; no document needs one")


def _ssh(node: wish.NodeWish, connect: Callable[[], w.Host]) -> Iterator[Check]:
    try:
        host = connect()
        try:
            found = right_node.ask(host)
        finally:
            host.close()
    except errors.TransomError as error:
        yield Check("ssh", False, str(error))
        return
    if isinstance(found, model.Unknown):
        yield Check("ssh", None, f"which node answers cannot be told: {found.unknown}")
    else:
        yield Check("ssh", found == node.pve_node, f"{node.access.ssh_user} is let in on {found}")
