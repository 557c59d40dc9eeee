"""Who may see and change users, tokens and rights: the checks of /access that look at what a request names.

They run before the parameters are judged, as in PVE, so an odd user name is told as such before anything else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from transom.lab.pve import access, node, replies, scalars
from transom.lab.pve.formats import Value

AUDIT = ("User.Modify", "Sys.Audit")
MODIFY = ("User.Modify",)
GROUPS = "/access/groups"


def user_name(value: Value) -> str:
    """The user of a request; 500 in PVE's words for what cannot be one."""
    name = "" if value is None else str(value)
    if len(name) < 3:
        replies.die(f"user name '{name}' is too short")
    if len(name) > 64:
        replies.die(f"user name '{name}' is too long ({len(name)} > 64)")
    if not re.fullmatch(r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+", name):
        replies.die(f"value '{name}' does not look like a valid user name")
    return name


def need_user(here: node.Node, value: Value) -> str:
    name = str(value or "")
    if name not in here.access.accounts().users:
        replies.die(f"no such user ('{name}')")
    return name


def audit_user(here: node.Node, caller: access.Caller, given: Mapping[str, Value]) -> None:
    need_user(here, given.get("userid"))
    if not here.access.may(caller, GROUPS, AUDIT, any_of=True):
        replies.denied()


def modify_user(here: node.Node, caller: access.Caller, given: Mapping[str, Value]) -> None:
    need_user(here, given.get("userid"))
    if not here.access.may(caller, GROUPS, MODIFY):
        no_group(given)


def no_group(given: Mapping[str, Value]) -> None:
    """Without rights on all groups those on each named one count; the lab has no groups."""
    names = scalars.split_list(str(given.get("groups") or ""))
    replies.denied(f"{GROUPS}{f'/{names[0]}' if names else ''}, User.Modify")


def create_user(here: node.Node, caller: access.Caller, given: Mapping[str, Value]) -> None:
    allocate(here, caller, given)
    if not here.access.may(caller, GROUPS, MODIFY):
        no_group(given)


def allocate(here: node.Node, caller: access.Caller, given: Mapping[str, Value]) -> None:
    realm = user_name(given.get("userid")).rpartition("@")[2]
    here.access.check(caller, f"/access/realm/{realm}", "Realm.AllocateUser")


def delete_user(here: node.Node, caller: access.Caller, given: Mapping[str, Value]) -> None:
    allocate(here, caller, given)
    need_user(here, given.get("userid"))
    if not here.access.may(caller, GROUPS, MODIFY):
        replies.denied()


def own_tokens(here: node.Node, caller: access.Caller, given: Mapping[str, Value]) -> None:
    """A user's own login, not a token of it, or the right to change users."""
    name = user_name(given.get("userid"))
    known = name in here.access.accounts().users
    if not known or (caller.name != name and not here.access.may(caller, GROUPS, MODIFY)):
        replies.denied()


def password(here: node.Node, caller: access.Caller, given: Mapping[str, Value]) -> None:
    name = user_name(given.get("userid"))
    if caller.name == name and name in here.access.accounts().users:
        return
    realm = name.rpartition("@")[2]
    if not here.access.may(caller, f"/access/realm/{realm}", ("Realm.AllocateUser",)):
        replies.denied(f"/access/realm/{realm}, Realm.AllocateUser")
    if not here.access.may(caller, GROUPS, MODIFY):
        replies.denied()


def modify_acl(here: node.Node, caller: access.Caller, given: Mapping[str, Value]) -> None:
    path = acl_path(str(given.get("path") or ""))
    wanted = ["Permissions.Modify"]
    for start, privilege in (("/storage/", "Datastore"), ("/vms/", "VM"), ("/pool/", "Pool")):
        if path.startswith(start):
            wanted.append(f"{privilege}.Allocate")
    here.access.check(caller, path, *wanted, any_of=True)


def acl_path(path: str) -> str:
    """With one slash at the start and none at the end."""
    return "/" + "/".join(part for part in path.split("/") if part)
