"""Who asks, and what they may do: users, tokens, rights and tickets, all in files below etc/pve.

`user.cfg` has PVE's own layout. A ticket is signed with the node's key, valid for two hours, and tells only the user;
a token with `privsep` starts with nothing and never exceeds its user.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass, field
from urllib.parse import quote

from transom.lab.pve import files, replies, roles, world

TICKET_LIFETIME = 7200
CHALLENGE_LIFETIME = 300
Acls = dict[str, dict[str, dict[str, bool]]]  # path → user or token → role → propagates


@dataclass
class Account:
    enable: bool = True
    expire: int = 0
    comment: str = ""
    email: str = ""
    firstname: str = ""
    lastname: str = ""


@dataclass
class TokenEntry:
    expire: int = 0
    privsep: bool = True
    comment: str = ""


@dataclass
class Accounts:
    """`user.cfg`, read."""

    users: dict[str, Account] = field(default_factory=dict)
    tokens: dict[str, TokenEntry] = field(default_factory=dict)
    roles: dict[str, frozenset[str]] = field(default_factory=dict)
    acls: Acls = field(default_factory=dict)
    other: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Caller:
    """The one who asks: `name` is a user (ticket, shell) or a token."""

    name: str

    @property
    def user(self) -> str:
        return self.name.split("!", 1)[0]

    @property
    def token(self) -> str:
        return self.name.partition("!")[2]

    @property
    def root(self) -> bool:
        """The root@pam login itself: not its tokens."""
        return self.name == "root@pam"


ROOT = Caller("root@pam")


def hashed(password: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), b"transom-lab", 1000).hex()


def parse(text: str) -> Accounts:
    found = Accounts()
    for line in text.splitlines():
        kind, *rest = line.split(":")
        if kind == "user" and len(rest) >= 3:
            rest += [""] * 7
            found.users[rest[0]] = Account(rest[1] == "1", int(rest[2] or 0), rest[6], rest[5], rest[3], rest[4])
        elif kind == "token" and len(rest) >= 3:
            found.tokens[rest[0]] = TokenEntry(int(rest[1] or 0), rest[2] == "1", ":".join(rest[3:]).rstrip(":"))
        elif kind == "role" and len(rest) >= 2:
            found.roles[rest[0]] = frozenset(filter(None, rest[1].split(",")))
        elif kind == "acl" and len(rest) >= 4:
            for who in rest[2].split(","):
                for role in rest[3].split(","):
                    found.acls.setdefault(rest[1], {}).setdefault(who, {})[role] = rest[0] == "1"
        elif line.strip():
            found.other.append(line)
    return found


def render(accounts: Accounts) -> str:
    lines = [f"user:{name}:{int(one.enable)}:{one.expire}:{one.firstname}:{one.lastname}:{one.email}:{one.comment}::"
             for name, one in sorted(accounts.users.items())]  # fmt: skip
    lines += [f"token:{name}:{one.expire}:{int(one.privsep)}:{one.comment}:"
              for name, one in sorted(accounts.tokens.items())]  # fmt: skip
    lines += accounts.other
    lines += [f"role:{name}:{','.join(sorted(privileges))}:" for name, privileges in sorted(accounts.roles.items())]
    for path, entries in sorted(accounts.acls.items()):
        for who, granted in sorted(entries.items()):
            for flag in (False, True):
                if names := sorted(role for role, spread in granted.items() if spread == flag):
                    lines.append(f"acl:{int(flag)}:{path}:{who}:{','.join(names)}:")
    return "\n".join([*lines, ""])


def render_first(state: world.World) -> str:
    accounts = Accounts(roles={name: frozenset(names) for name, names in state.roles.items()})
    accounts.users = {user.userid: Account() for user in state.users} | {"root@pam": Account()}
    accounts.tokens = {token.tokenid: TokenEntry(privsep=token.privsep) for token in state.tokens}
    for acl in state.acl:
        for role in acl.roles:
            accounts.acls.setdefault(acl.path, {}).setdefault(acl.who, {})[role] = acl.propagate
    return render(accounts)


class Access:
    """Rights and logins of one node's files; everything is read again at each question."""

    def __init__(self, place: files.NodeFiles) -> None:
        self.place = place

    def accounts(self) -> Accounts:
        return parse(files.read_text(self.place.path("etc/pve/user.cfg")))

    def table(self, name: str) -> dict[str, str]:
        """A file of `key value` lines below etc/pve/priv."""
        text = files.read_text(self.place.path(f"etc/pve/priv/{name}"))
        return {key: value for key, _, value in (line.partition(" ") for line in text.splitlines() if line)}

    def key(self) -> bytes:
        return files.read_text(self.place.path("etc/pve/priv/authkey.key")).encode()

    # -- logging in

    def sign(self, text: str) -> str:
        return base64.b64encode(hmac.digest(self.key(), text.encode(), "sha256")).decode().rstrip("=")

    def ticket(self, user: str, age: float = 0) -> str:
        plain = f"PVE:{user}:{int(time.time() - age):08X}"
        return f"{plain}::{self.sign(plain)}"

    def challenge(self, user: str) -> str:
        """The half ticket of a user who still has to show a second factor; it does not tell the user."""
        asked = quote(json.dumps({"totp": True, "recovery": "unavailable"}), safe="")
        plain = f"PVE:!tfa!{asked}:{int(time.time()):08X}"
        return f"{plain}::{self.sign(f'{plain}:{user}')}"

    def challenge_fits(self, user: str, ticket: str) -> bool:
        plain, _, signature = ticket.partition("::")
        found = re.fullmatch(r"PVE:!tfa![^:]+:([0-9A-F]{8})", plain)
        if not found or not hmac.compare_digest(signature, self.sign(f"{plain}:{user}")):
            return False
        return -300 < time.time() - int(found[1], 16) < CHALLENGE_LIFETIME

    def csrf(self, user: str) -> str:
        stamp = f"{int(time.time()):08X}"
        return f"{stamp}:{self.sign(f'{stamp}:{user}')}"

    def csrf_fits(self, user: str, value: str) -> bool:
        stamp, _, signature = value.partition(":")
        return hmac.compare_digest(signature, self.sign(f"{stamp}:{user}"))

    def ticket_user(self, ticket: str) -> str:
        """The user of a valid ticket, '' otherwise."""
        plain, _, signature = ticket.partition("::")
        found = re.fullmatch(r"PVE:([^:]+):([0-9A-F]{8})", plain)
        if not found or not hmac.compare_digest(signature, self.sign(plain)):
            return ""
        age = time.time() - int(found[2], 16)
        return found[1] if -300 < age < TICKET_LIFETIME and self.active(found[1]) else ""

    def token_caller(self, text: str) -> Caller | None:
        """The caller of `user@realm!name=secret`."""
        tokenid, _, given = text.partition("=")
        known = self.table("token.cfg").get(tokenid, "")
        entry = self.accounts().tokens.get(tokenid)
        if not known or not entry or not hmac.compare_digest(known, given) or not self.active(tokenid.split("!")[0]):
            return None
        return None if entry.expire and entry.expire < time.time() else Caller(tokenid)

    def active(self, user: str) -> bool:
        one = self.accounts().users.get(user)
        return one is not None and one.enable and not (one.expire and one.expire < time.time())

    def password_fits(self, user: str, password: str) -> bool:
        if not self.active(user):
            return False
        if password.startswith("PVE:"):
            return self.ticket_user(password) == user
        return hmac.compare_digest(self.table("shadow.cfg").get(user, ""), hashed(password))

    # -- rights

    def privileges(self, caller: Caller, path: str) -> dict[str, bool]:
        """{privilege: propagates} of the caller on a path."""
        accounts = self.accounts()
        if caller.user == "root@pam":
            mine = dict.fromkeys(roles.ALL, True)
        else:
            mine = self.granted(accounts, caller.user, path)
        entry = accounts.tokens.get(caller.name)
        if not caller.token or (entry and not entry.privsep):
            return mine
        own = self.granted(accounts, caller.name, path)
        return {name: spread and own[name] for name, spread in mine.items() if name in own}

    def granted(self, accounts: Accounts, who: str, path: str) -> dict[str, bool]:
        """Rights of a deeper path replace those of the paths above it."""
        current: dict[str, bool] = {}
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts) + 1):
            here = "/" + "/".join(parts[:depth])
            entries = accounts.acls.get(here, {}).get(who)
            if entries is not None:
                current = {role: spread for role, spread in entries.items() if spread or depth == len(parts)}
        if "NoAccess" in current:
            return {}
        found: dict[str, bool] = {}
        for role, spread in current.items():
            for privilege in accounts.roles.get(role) or roles.PRIVILEGES_OF.get(role, frozenset()):
                found[privilege] = spread or found.get(privilege, False)
        return found

    def may(self, caller: Caller, path: str, wanted: tuple[str, ...], any_of: bool = False) -> bool:
        if caller.root:
            return True
        mine = self.privileges(caller, path)
        return (any if any_of else all)(name in mine for name in wanted)

    def check(self, caller: Caller, path: str, *wanted: str, any_of: bool = False) -> None:
        """403 in PVE's words unless the caller has the privileges."""
        if not self.may(caller, path, wanted, any_of):
            replies.denied(f"{path}, {'|'.join(wanted)}")

    def check_vm(self, caller: Caller, vmid: int, *wanted: str, any_of: bool = False) -> None:
        self.check(caller, f"/vms/{vmid}", *wanted, any_of=any_of)
