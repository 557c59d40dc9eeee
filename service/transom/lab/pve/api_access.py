"""The API below /access: tickets, users, tokens, rights, roles."""

from __future__ import annotations

import re
from typing import Final

from transom.lab.pve import access, prepare, replies, roles, scalars, tfa, user_rights
from transom.lab.pve.formats import Fields, Prop
from transom.lab.pve.routing import LOGGED_IN, ROOT_ONLY, Request, Right, Route

FLAG: Final = Prop("boolean")
TOP_PATHS: Final = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")
CAPABILITIES: Final = {"vms": "VM", "nodes": "Sys", "storage": "Datastore", "dc": "SDN", "access": "User",
                       "mapping": "Mapping", "sdn": "SDN"}  # fmt: skip


def post_ticket(request: Request) -> object:
    user, realm = request.text("username"), request.text("realm")
    user = f"{user}@{realm}" if realm and "@" not in user else user
    rights, place = request.node.access, request.node.place
    given, challenge = request.text("password"), request.text("tfa-challenge")
    if challenge:
        kind, _, code = given.partition(":")
        if not rights.challenge_fits(user, challenge) or kind != "totp" or not tfa.fits(place, user, code):
            replies.unauthorized("authentication failure")
    elif not rights.password_fits(user, given):
        replies.unauthorized("authentication failure")
    elif not given.startswith("PVE:") and tfa.secret(place, user):
        # a ticket that is renewed was given for both factors
        return {"username": user, "ticket": rights.challenge(user), "CSRFPreventionToken": rights.csrf(user),
                "NeedTFA": 1}  # fmt: skip
    answer: dict[str, object] = {
        "username": user,
        "ticket": rights.ticket(user),
        "CSRFPreventionToken": rights.csrf(user),
        "cap": capabilities(request, user),
    }
    if request.node.world.cluster:
        answer["clustername"] = request.node.world.cluster
    return answer


def capabilities(request: Request, user: str) -> dict[str, dict[str, int]]:
    granted = request.node.access.privileges(access.Caller(user), "/")
    return {area: {name: 1 for name in granted if name.startswith(f"{prefix}.")}
            for area, prefix in CAPABILITIES.items()}  # fmt: skip


def get_permissions(request: Request) -> object:
    rights = request.node.access
    who = access.Caller(request.text("userid") or request.caller.name)
    if who != request.caller:
        rights.check(request.caller, "/access", "Sys.Audit")
    if path := request.text("path"):
        if not path.startswith("/"):
            return {path: {}}
        return {path: spread_of(rights, who, path)}
    found = {path: spread_of(rights, who, path) for path in sorted({*TOP_PATHS, *rights.accounts().acls})}
    return {path: names for path, names in found.items() if names}


def spread_of(rights: access.Access, who: access.Caller, path: str) -> dict[str, int]:
    return {name: int(spread) for name, spread in rights.privileges(who, path).items()}


def get_users(request: Request) -> object:
    rights, accounts = request.node.access, request.node.access.accounts()
    everything = rights.may(request.caller, user_rights.GROUPS, user_rights.AUDIT, True)
    rows = []
    for name, one in sorted(accounts.users.items()):
        if not everything and name != request.caller.name:
            continue
        if request.text("enabled") and request.flag("enabled") != one.enable:
            continue
        row = user_row(name, one)
        if request.flag("full"):
            tokens = [{"tokenid": token, **values} for token, values in tokens_of(accounts, name).items()]
            row |= {"groups": ""} | ({"tokens": tokens} if tokens else {})
        rows.append(row)
    return rows


def tokens_of(accounts: access.Accounts, user: str) -> dict[str, dict[str, object]]:
    return {name.partition("!")[2]: token_row(one) for name, one in sorted(accounts.tokens.items())
            if name.startswith(f"{user}!")}  # fmt: skip


def user_row(name: str, one: access.Account) -> dict[str, object]:
    row: dict[str, object] = {"userid": name, "enable": int(one.enable), "expire": one.expire,
                              "realm-type": name.split("@")[1]}  # fmt: skip
    return row | {key: value for key in ("comment", "email", "firstname", "lastname") if (value := getattr(one, key))}


def get_user(request: Request) -> object:
    one = need_user(request)
    row = user_row(request.path["userid"], one)
    row.pop("userid")
    row.pop("realm-type")
    tokens = tokens_of(request.node.access.accounts(), request.path["userid"])
    return row | {"groups": []} | ({"tokens": tokens} if tokens else {})


def need_user(request: Request) -> access.Account:
    name = request.path["userid"]
    one = request.node.access.accounts().users.get(name)
    if one is None:
        replies.die(f"no such user ('{name}')")
    return one


def save(request: Request, accounts: access.Accounts) -> None:
    request.node.write_cluster_file("user.cfg", access.render(accounts))


def save_table(request: Request, name: str, key: str, value: str | None) -> None:
    table = request.node.access.table(name)
    table.pop(key, None)
    if value is not None:
        table[key] = value
    text = "".join(f"{one} {table[one]}\n" for one in sorted(table))
    request.node.write_cluster_file(f"priv/{name}", text)


def post_user(request: Request) -> object:
    name, accounts = request.text("userid"), request.node.access.accounts()
    if name.split("@")[1] not in ("pam", "pve"):
        replies.die(f"domain '{name.split('@')[1]}' does not exist")
    if name in accounts.users:
        replies.die(f"create user failed: user '{name}' already exists")
    accounts.users[name] = access.Account(request.text("enable", "1") == "1", request.number("expire"),
                                          request.text("comment"), request.text("email"))  # fmt: skip
    save(request, accounts)
    if request.text("password"):
        save_table(request, "shadow.cfg", name, access.hashed(request.text("password")))
    return None


def put_user(request: Request) -> object:
    need_user(request)
    accounts = request.node.access.accounts()
    one = accounts.users[request.path["userid"]]
    one.enable = request.text("enable", str(int(one.enable))) == "1"
    one.expire = request.number("expire", one.expire)
    one.comment = request.text("comment", one.comment)
    save(request, accounts)
    return None


def delete_user(request: Request) -> object:
    name, accounts = request.path["userid"], request.node.access.accounts()
    if name not in accounts.users:
        replies.die(f"delete user failed: no such user ('{name}')")
    del accounts.users[name]
    for token in [one for one in accounts.tokens if one.startswith(f"{name}!")]:
        del accounts.tokens[token]
        save_table(request, "token.cfg", token, None)
    for entries in accounts.acls.values():
        entries.pop(name, None)
    save(request, accounts)
    save_table(request, "shadow.cfg", name, None)
    return None


def put_password(request: Request) -> object:
    name = request.text("userid")
    if name not in request.node.access.accounts().users:
        replies.die(f"no such user ('{name}')")
    save_table(request, "shadow.cfg", name, access.hashed(request.text("password")))
    return None


# -- tokens


def token_row(one: access.TokenEntry) -> dict[str, object]:
    row: dict[str, object] = {"privsep": int(one.privsep), "expire": one.expire}
    return row | ({"comment": one.comment} if one.comment else {})


def get_tokens(request: Request) -> object:
    need_user(request)
    start = f"{request.path['userid']}!"
    return [{"tokenid": name.removeprefix(start), **token_row(one)}
            for name, one in sorted(request.node.access.accounts().tokens.items()) if name.startswith(start)]  # fmt: skip


def need_token(request: Request) -> tuple[str, access.Accounts]:
    name, accounts = f"{request.path['userid']}!{request.path['tokenid']}", request.node.access.accounts()
    if name not in accounts.tokens:
        replies.die(f"no such token '{request.path['tokenid']}' for user '{request.path['userid']}'")
    return name, accounts


def get_token(request: Request) -> object:
    name, accounts = need_token(request)
    return token_row(accounts.tokens[name])


def post_token(request: Request) -> object:
    need_user(request)
    name, accounts = f"{request.path['userid']}!{request.path['tokenid']}", request.node.access.accounts()
    if name in accounts.tokens:
        replies.bad_parameters({"tokenid": "Token already exists."})
    one = access.TokenEntry(request.number("expire"), request.text("privsep", "1") == "1", request.text("comment"))
    accounts.tokens[name] = one
    save(request, accounts)
    value = prepare.new_uuid()
    save_table(request, "token.cfg", name, value)
    given = {key: request.text(key) for key in ("comment", "expire", "privsep") if request.text(key)}
    return {"full-tokenid": name, "value": value, "info": {"privsep": "1"} | given}


def put_token(request: Request) -> object:
    name, accounts = need_token(request)
    one = accounts.tokens[name]
    one.privsep = request.text("privsep", str(int(one.privsep))) == "1"
    one.expire, one.comment = request.number("expire", one.expire), request.text("comment", one.comment)
    save(request, accounts)
    return token_row(one)


def delete_token(request: Request) -> object:
    name, accounts = need_token(request)
    del accounts.tokens[name]
    for entries in accounts.acls.values():
        entries.pop(name, None)
    save(request, accounts)
    save_table(request, "token.cfg", name, None)
    return None


# -- rights and roles


def get_acl(request: Request) -> object:
    accounts = request.node.access.accounts()
    if not request.node.access.may(request.caller, "/access", ("Sys.Audit",)):
        return []
    return [{"path": path, "ugid": who, "roleid": role, "propagate": int(spread),
             "type": "token" if "!" in who else "user"}
            for path, entries in sorted(accounts.acls.items()) for who, granted in sorted(entries.items())
            for role, spread in sorted(granted.items())]  # fmt: skip


def put_acl(request: Request) -> object:
    path, accounts = user_rights.acl_path(request.text("path")), request.node.access.accounts()
    if not any(request.text(name) for name in ("users", "groups", "tokens")):
        text = "either 'users', 'groups' or 'tokens' is required."
        replies.bad_parameters(dict.fromkeys(("users", "groups", "tokens"), text))
    if not request.flag("delete") and not ACL_PATH.fullmatch(path):
        replies.bad_parameters({"path": f"invalid ACL path '{request.text('path')}'"})
    whom = [*scalars.split_list(request.text("users")), *scalars.split_list(request.text("tokens"))]
    for role in scalars.split_list(request.text("roles")):
        if role not in accounts.roles and role not in roles.PRIVILEGES_OF:
            replies.die(f"ACL update failed: role '{role}' does not exist")
        check_handing_out(request, accounts, path, role)
        for group in scalars.split_list(request.text("groups")):
            replies.die(f"ACL update failed: group '{group}' does not exist")
        for who in whom:
            need_grantee(accounts, who)
            granted = accounts.acls.setdefault(path, {}).setdefault(who, {})
            granted.pop(role, None)
            if not request.flag("delete"):
                granted[role] = request.text("propagate", "1") == "1"
            if not granted:
                del accounts.acls[path][who]
    save(request, accounts)
    return None


def need_grantee(accounts: access.Accounts, who: str) -> None:
    user, sign, token = who.partition("!")
    if user not in accounts.users:
        text = f"no such user ('{user}')" if sign else f"user '{user}' does not exist"
        replies.die(f"ACL update failed: {text}")
    if sign and who not in accounts.tokens:
        replies.die(f"ACL update failed: no such token '{token}' for user '{user}'")


def check_handing_out(request: Request, accounts: access.Accounts, path: str, role: str) -> None:
    """Who may only allocate there gives no more than what is his own."""
    mine = request.node.access.privileges(request.caller, path)
    if "Permissions.Modify" in mine or request.caller.root:
        return
    verb = "remove" if request.flag("delete") else "add"
    needed = accounts.roles.get(role) or roles.PRIVILEGES_OF.get(role, frozenset())
    if role == "NoAccess":
        replies.bad_parameters({"role": f"Cannot {verb} role '{role}' - requires 'Permissions.Modify'"})
    if needed - mine.keys():
        text = f"Cannot {verb} role '{role}' - requires 'Permissions.Modify' or superset of privileges."
        replies.bad_parameters({"role": text})
    if verb == "add" and request.text("propagate", "1") == "1" and not all(mine[name] for name in needed):
        text = f"Cannot {verb} role '{role}' with propagation - requires 'Permissions.Modify' or propagated superset of privileges."
        replies.bad_parameters({"role": text})


def get_roles(request: Request) -> object:
    own = {name: (names, 0) for name, names in request.node.access.accounts().roles.items()}
    built = {name: (names, 1) for name, names in roles.PRIVILEGES_OF.items()}
    return [{"roleid": name, "privs": ",".join(sorted(names)), "special": special}
            for name, (names, special) in sorted({**built, **own}.items())]  # fmt: skip


def get_role(request: Request) -> object:
    name = request.path["roleid"]
    names = request.node.access.accounts().roles.get(name) or roles.PRIVILEGES_OF.get(name)
    if names is None:
        replies.die(f"role '{name}' does not exist")
    return dict.fromkeys(sorted(names), 1)


def post_role(request: Request) -> object:
    name, accounts = request.text("roleid"), request.node.access.accounts()
    if name.lower().startswith("pve"):
        text = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace"
        replies.bad_parameters({"roleid": text})
    if name in accounts.roles or name in roles.PRIVILEGES_OF:
        replies.die(f"create role failed: role '{name}' already exists")
    accounts.roles[name] = frozenset(scalars.split_list(request.text("privs")))
    save(request, accounts)
    return None


def need_own_role(request: Request, verb: str) -> tuple[str, access.Accounts]:
    name, accounts = request.path["roleid"], request.node.access.accounts()
    if name in roles.PRIVILEGES_OF:
        replies.die(f"auto-generated role '{name}' cannot be {verb}")
    if name not in accounts.roles:
        replies.die(f"{'update' if verb == 'modified' else 'delete'} role failed: role '{name}' does not exist")
    return name, accounts


def put_role(request: Request) -> object:
    name, accounts = need_own_role(request, "modified")
    before = accounts.roles[name] if request.flag("append") else frozenset()
    accounts.roles[name] = before | frozenset(scalars.split_list(request.text("privs")))
    save(request, accounts)
    return None


def delete_role(request: Request) -> object:
    name, accounts = need_own_role(request, "deleted")
    del accounts.roles[name]
    save(request, accounts)
    return None


def get_domains(_request: Request) -> object:
    return [{"realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication"},
            {"realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server"}]  # fmt: skip


ACL_PATH: Final = re.compile(
    r"/|/(?:access|nodes|pool|sdn|storage|vms|mapping)|/access/(?:groups|realm)(?:/[\w.\-]+)?|/(?:nodes|storage)/[\w.\-]+"
    r"|/pool(?:/[\w.\-]+){1,3}|/vms/[1-9][0-9]{2,}|/mapping(?:/[\w.\-]+){1,2}"
    r"|/sdn/(?:controllers|dns|fabrics|ipams|prefix-lists|route-maps)(?:/[\w\-]+)?"
    r"|/sdn/zones(?:/[\w.\-]+){0,2}|/sdn/zones(?:/[\w.\-]+){2}/[1-9][0-9]{0,3}",
    re.ASCII,
)
ROLE: Final = Right("/access", ("Sys.Modify",))
ROLE_ID: Final = Prop(optional=False, format="pve-roleid")
PRIVILEGES: Final = Prop(format="pve-priv-list")
NAME: Final = Prop(optional=False, format="pve-userid", max_length=64)
TICKET: Final[Fields] = {
    "username": Prop(optional=False, max_length=64), "password": Prop(optional=False), "realm": Prop(max_length=32),
    "otp": Prop(), "path": Prop(), "privs": Prop(), "new-format": FLAG, "tfa-challenge": Prop(),
}  # fmt: skip
USER: Final[Fields] = {
    "password": Prop(min_length=8, max_length=64),
    "enable": FLAG,
    "expire": Prop("integer", minimum=0),
    "comment": Prop(max_length=2048),
    "email": Prop(),
    "firstname": Prop(max_length=1024),
    "lastname": Prop(max_length=1024),
    "groups": Prop(),
    "keys": Prop(),
}
TOKEN: Final[Fields] = {"privsep": FLAG, "expire": Prop("integer", minimum=0), "comment": Prop()}
ACL: Final[Fields] = {
    "path": Prop(optional=False), "roles": Prop(optional=False), "users": Prop(), "tokens": Prop(), "groups": Prop(),
    "propagate": FLAG, "delete": FLAG,
}  # fmt: skip
ONE: Final = "/access/users/{userid}"
ROUTES: Final = (
    Route("GET", "/access", lambda _: [{"subdir": name} for name in ("acl", "domains", "groups", "openid",
                                                                     "password", "roles", "tfa", "ticket", "users")]),
    Route("POST", "/access/ticket", post_ticket, TICKET, public=True),
    Route("GET", "/access/ticket", lambda _: None, public=True),
    Route("GET", "/access/permissions", get_permissions, {"path": Prop(), "userid": Prop()}),
    Route("GET", "/access/users", get_users, {"enabled": FLAG, "full": FLAG}),
    Route("POST", "/access/users", post_user, {**USER, "userid": NAME}, guard=user_rights.create_user),
    Route("GET", ONE, get_user, guard=user_rights.audit_user),
    Route("PUT", ONE, put_user, {**USER, "append": FLAG}, guard=user_rights.modify_user),
    Route("DELETE", ONE, delete_user, guard=user_rights.delete_user),
    Route("GET", f"{ONE}/token", get_tokens, guard=user_rights.own_tokens),
    Route("GET", f"{ONE}/token/{{tokenid}}", get_token, guard=user_rights.own_tokens),
    Route("POST", f"{ONE}/token/{{tokenid}}", post_token, TOKEN, guard=user_rights.own_tokens),
    Route("PUT", f"{ONE}/token/{{tokenid}}", put_token, TOKEN, guard=user_rights.own_tokens),
    Route("DELETE", f"{ONE}/token/{{tokenid}}", delete_token, guard=user_rights.own_tokens),
    Route("PUT", "/access/password", put_password,
          {"userid": NAME, "password": Prop(optional=False, min_length=8, max_length=64), "confirmation-password": Prop()},
          LOGGED_IN, token=False, guard=user_rights.password),
    Route("GET", "/access/acl", get_acl),
    Route("PUT", "/access/acl", put_acl, ACL, guard=user_rights.modify_acl),
    Route("GET", "/access/roles", get_roles),
    Route("GET", "/access/roles/{roleid}", get_role),
    Route("POST", "/access/roles", post_role, {"roleid": ROLE_ID, "privs": PRIVILEGES}, ROLE),
    Route("PUT", "/access/roles/{roleid}", put_role,
          {"privs": PRIVILEGES, "append": Prop("boolean", requires="privs")}, ROLE),
    Route("DELETE", "/access/roles/{roleid}", delete_role, {}, ROLE),
    Route("GET", "/access/domains", get_domains, public=True),
    Route("GET", "/access/tfa", lambda _: [], {}, ROOT_ONLY),
)  # fmt: skip
