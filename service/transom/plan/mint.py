"""The ``pveum`` commands that grant exactly what is needed: a role for each set of privileges, given by path."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Sequence

from transom.plan import rights

ROOT = "root@pam"
_KINDS = (
    ("/vms/", "Vm"), ("/vms", "Vms"), ("/storage/", "Storage"), ("/sdn/", "Bridge"), ("/mapping/", "Mapping"), ("/nodes/", "Node"),
    ("/", "Cluster"),
)  # fmt: skip
_SPREADING = frozenset({"/vms", "/mapping/pci"})
"""Paths whose rights are meant for all below them; everywhere else they end where they are given."""


@dataclasses.dataclass(frozen=True)
class Grant:
    """One role on one path. ``needs`` are what it is for."""

    path: str
    role: str
    privileges: tuple[str, ...]
    propagate: bool
    needs: tuple[rights.Need, ...]


def grants(needs: Sequence[rights.Need]) -> tuple[Grant, ...]:
    """By path. What a path needs stands in its own role whole: in PVE a deeper entry replaces what comes from above."""
    by_path: dict[str, list[rights.Need]] = {}
    for need in needs:
        by_path.setdefault(need.path, []).append(need)
    roles: dict[tuple[str, frozenset[str]], str] = {}
    found = []
    for path in sorted(by_path):
        own = by_path[path]
        above = [need for spread in _SPREADING if path.startswith(f"{spread}/") for need in by_path.get(spread, ())]
        privileges = frozenset(need.privilege for need in (*own, *above))
        role = roles.setdefault((_kind(path), privileges), _name(_kind(path), roles))
        found.append(Grant(path, role, tuple(sorted(privileges)), path in _SPREADING, tuple(own)))
    return tuple(found)


def commands(granted: Sequence[Grant], who: str) -> tuple[str, ...]:
    """Lines for a root shell of one node; comments say what each role is for. ``who`` is ``user@realm``, with ``!name`` a token.

    They may be run again: a role that is there is brought up to date.
    """
    user, _, token = who.partition("!")
    lines = ["# roles: what may be done"]
    for role, privileges in dict.fromkeys((grant.role, grant.privileges) for grant in granted):
        lines += [f"#   {need}" for need in _reasons(granted, role)]
        words = shlex.join(["pveum", "role", "add", role, "--privs", ",".join(privileges)])
        again = shlex.join(["pveum", "role", "modify", role, "--privs", ",".join(privileges)])
        lines.append(f"{words} || {again}")
    lines += _accounts(user, token)
    lines.append("# rights: where")
    whom = ([] if user == ROOT else ["--users", user]) + (["--tokens", who] if token else [])
    for grant in granted:
        spread = str(int(grant.propagate))
        lines.append(
            shlex.join(["pveum", "acl", "modify", grant.path, *whom, "--roles", grant.role, "--propagate", spread])
        )
    return tuple(lines)


def _accounts(user: str, token: str) -> list[str]:
    lines = ["# the user and its token; a separated token may do what both were granted"]
    if user != ROOT:
        lines.append(shlex.join(["pveum", "user", "add", user, "--comment", "Transom"]))
    if token:
        lines.append("# this prints the secret, once: put it where api.token.secret says")
        lines.append(shlex.join(["pveum", "user", "token", "add", user, token, "--privsep", "1"]))
    return lines


def _reasons(granted: Iterable[Grant], role: str) -> list[str]:
    """``VM.Config.Disk: set scsi0 (VirtualMachine/win11)``, each privilege once."""
    found: dict[str, str] = {}
    for need in (need for grant in granted if grant.role == role for need in grant.needs):
        whose = f" ({need.document})" if need.document else ""
        found.setdefault(need.privilege, f"{need.privilege}: {need.why}{whose}")
    return [found[privilege] for privilege in sorted(found)]


def _kind(path: str) -> str:
    return next(kind for start, kind in _KINDS if path == start or (start.endswith("/") and path.startswith(start)))


def _name(kind: str, taken: dict[tuple[str, frozenset[str]], str]) -> str:
    """``TransomVm``, then ``TransomVm2`` …"""
    same = sum(1 for known, _ in taken if known == kind)
    return f"Transom{kind}{same + 1 if same else ''}"
