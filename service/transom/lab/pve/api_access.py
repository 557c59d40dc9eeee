"""The API below /access: tickets, users, tokens, rights, roles."""

from __future__ import annotations

from typing import Final

from transom.lab.pve import access, prepare, replies, roles, tfa
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
        return {path: spread_of(rights, who, path)}
    found = {path: spread_of(rights, who, path) for path in sorted({*TOP_PATHS, *rights.accounts().acls})}
    return {path: names for path, names in found.items() if names}


def spread_of(rights: access.Access, who: access.Caller, path: str) -> dict[str, int]:
    return {name: int(spread) for name, spread in rights.privileges(who, path).items()}


def get_users(request: Request) -> object:
    rights, accounts = request.node.access, request.node.access.accounts()
    everything = rights.may(request.caller, "/access/groups", ("User.Modify", "Sys.Audit"), True)
    return [user_row(name, one) for name, one in sorted(accounts.users.items())
            if everything or (not request.caller.token and name == request.caller.user)]  # fmt: skip


def user_row(name: str, one: access.Account) -> dict[str, object]:
    row: dict[str, object] = {"userid": name, "enable": int(one.enable), "expire": one.expire,
                              "realm-type": name.split("@")[1]}  # fmt: skip
    return row | {key: value for key in ("comment", "email", "firstname", "lastname") if (value := getattr(one, key))}


def get_user(request: Request) -> object:
    one = need_user(request)
    row = user_row(request.path["userid"], one)
    row.pop("userid")
    row.pop("realm-type")
    tokens = {name.split("!")[1]: token_row(token) for name, token in request.node.access.accounts().tokens.items()
              if name.startswith(f"{request.path['userid']}!")}  # fmt: skip
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
    if request.caller.user != name:
        request.node.access.check(request.caller, "/access/groups", "User.Modify")
    if name not in request.node.access.accounts().users:
        replies.die(f"no such user ('{name}')")
    save_table(request, "shadow.cfg", name, access.hashed(request.text("password")))
    return None


# -- tokens


def token_row(one: access.TokenEntry) -> dict[str, object]:
    row: dict[str, object] = {"privsep": int(one.privsep), "expire": one.expire}
    return row | ({"comment": one.comment} if one.comment else {})


def own_tokens(request: Request) -> None:
    """Users manage their own tokens, others need User.Modify."""
    if request.caller.user != request.path["userid"]:
        request.node.access.check(request.caller, "/access/groups", "User.Modify")


def get_tokens(request: Request) -> object:
    own_tokens(request)
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
    own_tokens(request)
    name, accounts = need_token(request)
    return token_row(accounts.tokens[name])


def post_token(request: Request) -> object:
    own_tokens(request)
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
    own_tokens(request)
    name, accounts = need_token(request)
    one = accounts.tokens[name]
    one.privsep = request.text("privsep", str(int(one.privsep))) == "1"
    one.expire, one.comment = request.number("expire", one.expire), request.text("comment", one.comment)
    save(request, accounts)
    return token_row(one)


def delete_token(request: Request) -> object:
    own_tokens(request)
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
    path, accounts = request.text("path"), request.node.access.accounts()
    request.node.access.check(request.caller, path, "Permissions.Modify")
    whom = [*request.text("users").split(","), *request.text("tokens").split(",")]
    for role in request.text("roles").split(","):
        if role not in accounts.roles and role not in roles.PRIVILEGES_OF:
            replies.die(f"ACL update failed: role '{role}' does not exist")
        for who in filter(None, whom):
            if who not in accounts.users and who not in accounts.tokens:
                replies.die(f"ACL update failed: user '{who}' does not exist")
            granted = accounts.acls.setdefault(path, {}).setdefault(who, {})
            granted.pop(role, None)
            if not request.flag("delete"):
                granted[role] = request.text("propagate", "1") == "1"
            if not granted:
                del accounts.acls[path][who]
    save(request, accounts)
    return None


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
    if name in accounts.roles or name in roles.PRIVILEGES_OF:
        replies.die(f"create role failed: role '{name}' already exists")
    names = frozenset(filter(None, request.text("privs").replace(",", " ").split()))
    if wrong := sorted(names - set(roles.ALL)):
        replies.die(f"create role failed: invalid privilege '{wrong[0]}'")
    accounts.roles[name] = names
    save(request, accounts)
    return None


def get_domains(_request: Request) -> object:
    return [{"realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication"},
            {"realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server"}]  # fmt: skip


USERS: Final = Right("/access/groups", ("User.Modify",))
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
    Route("GET", "/access", lambda _: [{"subdir": name} for name in ("acl", "domains", "password", "permissions",
                                                                     "roles", "ticket", "users")]),
    Route("POST", "/access/ticket", post_ticket, TICKET, public=True),
    Route("GET", "/access/ticket", lambda _: None, public=True),
    Route("GET", "/access/permissions", get_permissions, {"path": Prop(), "userid": Prop()}),
    Route("GET", "/access/users", get_users, {"enabled": FLAG, "full": FLAG}),
    Route("POST", "/access/users", post_user, {**USER, "userid": NAME}, USERS),
    Route("GET", ONE, get_user, {}, Right("/access/groups", ("User.Modify", "Sys.Audit"), any_of=True)),
    Route("PUT", ONE, put_user, {**USER, "append": FLAG}, USERS),
    Route("DELETE", ONE, delete_user, {}, USERS),
    Route("GET", f"{ONE}/token", get_tokens),
    Route("GET", f"{ONE}/token/{{tokenid}}", get_token),
    Route("POST", f"{ONE}/token/{{tokenid}}", post_token, TOKEN),
    Route("PUT", f"{ONE}/token/{{tokenid}}", put_token, TOKEN),
    Route("DELETE", f"{ONE}/token/{{tokenid}}", delete_token),
    Route("PUT", "/access/password", put_password,
          {"userid": NAME, "password": Prop(optional=False, min_length=8, max_length=64), "confirmation-password": Prop()},
          LOGGED_IN, token=False),
    Route("GET", "/access/acl", get_acl),
    Route("PUT", "/access/acl", put_acl, ACL),
    Route("GET", "/access/roles", get_roles),
    Route("GET", "/access/roles/{roleid}", get_role),
    Route("POST", "/access/roles", post_role, {"roleid": Prop(optional=False), "privs": Prop()},
          Right("/access", ("Sys.Modify",))),
    Route("GET", "/access/domains", get_domains, public=True),
    Route("GET", "/access/tfa", lambda _: [], {}, ROOT_ONLY),
)  # fmt: skip
