"""A user's ticket: made, renewed, lost, made anew; the second factor; and no secret anywhere."""

from __future__ import annotations

import dataclasses
import json
import logging
import pathlib
import threading
import traceback
import urllib.parse

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.twofactor import totp

from patience import PATIENCE, until
from transom import errors, pve
from transom.spec import wish

PASSWORD = "correct horse: ü"
KEY = b"12345678901234567890"
BASE32 = "gezd gnbv gy3t qojq gezd gnbv gy3t qojq"
CONFIG = "/api2/json/nodes/pve1/qemu/100/config"
TICKET = "/api2/json/access/ticket"


class Clock:
    """Time that passes only when told; ``wall`` and ``now`` go together."""

    def __init__(self) -> None:
        self.at = 1_000_000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    def outside(self) -> pve.Outside:
        return pve.Outside(now=lambda: self.at, wall=lambda: self.at, sleep=self.sleep, chance=lambda: 0.0)


class Server:
    """PVE's login as PVE::API2::AccessControl has it: tickets for two hours, CSRF on writes, codes good once."""

    def __init__(self, clock: Clock, *, factor: bool = False) -> None:
        self.clock = clock
        self.factor = factor
        self.password = PASSWORD
        self.made: dict[str, float] = {}
        self.codes: set[str] = set()
        self.log: list[str] = []
        self.dead = ""
        """Tickets made before this one are refused, as after the key was changed."""
        self.broken: list[object] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.broken:
            fault = self.broken.pop(0)
            if isinstance(fault, Exception):
                raise fault
            assert isinstance(fault, httpx.Response)
            return fault
        if request.url.path == TICKET:
            return self.log_in(dict(urllib.parse.parse_qsl(request.content.decode(), keep_blank_values=True)))
        if "authorization" in request.headers:
            self.log.append(f"{request.method} as token")
            return httpx.Response(200, json={"data": {"digest": "d"}})
        ticket = urllib.parse.unquote(request.headers["cookie"].removeprefix("PVEAuthCookie="))
        if not self.good(ticket) or (
            request.method != "GET" and request.headers.get("csrfpreventiontoken") != f"csrf-{ticket}"
        ):
            self.log.append(f"{request.method} 401")
            return httpx.Response(401)
        self.log.append(request.method)
        return httpx.Response(200, json={"data": {"digest": "d"} if request.method == "GET" else None})

    def good(self, ticket: str) -> bool:
        return ticket in self.made and self.clock.at - self.made[ticket] < 7200 and ticket != self.dead

    def log_in(self, form: dict[str, str]) -> httpx.Response:
        assert form["username"] == "root@pam"
        assert form["new-format"] == "1"
        given = form["password"]
        if "tfa-challenge" in form:
            self.log.append("code")
            code = given.removeprefix("totp:")
            step = int(self.clock.at // 30) * 30
            if code != totp.TOTP(KEY, 6, hashes.SHA1(), 30).generate(step).decode() or code in self.codes:
                return httpx.Response(401)
            self.codes.add(code)
            return self.ticket()
        if given.startswith("PVE:"):
            self.log.append("renew")
            return self.ticket() if self.good(given) else httpx.Response(401)
        self.log.append("login")
        if given != self.password:
            return httpx.Response(401, json={"data": None})
        if self.factor:
            data = {"ticket": "PVE:!tfa!%7B%22totp%22%3Atrue%7D:1::x", "NeedTFA": 1, "username": "root@pam"}
            return httpx.Response(200, json={"data": {**data, "CSRFPreventionToken": "none"}})
        return self.ticket()

    def ticket(self) -> httpx.Response:
        ticket = f"PVE:root@pam:{len(self.made):08X}::a+b/c=="
        self.made[ticket] = self.clock.at
        data = {"ticket": ticket, "CSRFPreventionToken": f"csrf-{ticket}", "username": "root@pam"}
        return httpx.Response(200, json={"data": data}, headers={"set-cookie": "PVEAuthCookie=other"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Server:
    return Server(clock)


@pytest.fixture
def with_ticket(access: wish.Access, tmp_path: pathlib.Path) -> wish.Access:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "totp").write_text(f"{BASE32}\n")
    ref = wish.TicketRef(
        "root@pam", wish.SecretRef(file=str(tmp_path / "password")), wish.SecretRef(file=str(tmp_path / "totp"))
    )
    return dataclasses.replace(access, token_id="", token_secret=wish.SecretRef(), ticket=ref)


@pytest.fixture
def connector(clock: Clock) -> pve.Connector:
    return pve.Connector(clock.outside())


@pytest.fixture
def api(connector, with_ticket, server):
    with connector.connect(with_ticket, transport=httpx.MockTransport(server)) as connection:
        yield connection


def read(api: pve.Pve) -> None:
    assert api.config("pve1", 100) == ({}, "d")


def write(api: pve.Pve) -> None:
    api.update("pve1", 100, values={"args": "-x"}, digest="d")


def test_one_login_serves_reads_and_writes(api, server):
    assert (api.user, api.is_root, api.root is api) == ("root@pam", True, True)
    read(api)
    write(api)
    read(api)
    assert server.log == ["login", "GET", "PUT", "GET"]


def test_it_is_renewed_by_itself_before_it_runs_out(api, server, clock):
    for _ in range(10):
        read(api)
        clock.at += 3000
    assert "401" not in " ".join(server.log)
    assert server.log.count("login") == 1
    assert server.log.count("renew") == 4


def test_after_a_long_rest_the_password_is_asked_for_again(api, server, clock):
    read(api)
    clock.at += 86400
    write(api)
    assert server.log == ["login", "GET", "login", "PUT"]


def test_a_ticket_that_the_server_forgot_is_made_anew_once(api, server, clock):
    read(api)
    clock.at += 60
    server.dead = list(server.made)[-1]
    write(api)
    assert server.log == ["login", "GET", "PUT 401", "login", "PUT"]


def test_a_renewal_that_is_refused_falls_back_to_the_password(api, server, clock):
    read(api)
    clock.at += 4000
    server.dead = list(server.made)[-1]
    write(api)
    assert server.log == ["login", "GET", "renew", "login", "PUT"]


def test_a_fresh_ticket_that_is_refused_is_denied(api, server):
    server.broken = []
    read(api)
    server.dead = list(server.made)[-1]
    with pytest.raises(errors.Denied):
        write(api)
    assert server.log == ["login", "GET", "PUT 401"]


def test_a_wrong_password_is_told_without_it_and_not_tried_again_at_once(api, server, clock):
    server.password = "another"
    for _ in range(3):
        with pytest.raises(errors.Denied, match=r"login of root@pam is refused \(401\).*file .*/password") as caught:
            read(api)
        assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert server.log == ["login"]
    clock.at += 61
    server.password = PASSWORD
    read(api)
    assert server.log == ["login", "login", "GET"]


def test_sessions_share_the_ticket(connector, with_ticket, server):
    for _ in range(3):
        with connector.connect(with_ticket, transport=httpx.MockTransport(server)) as api:
            read(api)
    assert server.log == ["login", "GET", "GET", "GET"]


def test_threads_log_in_once(api, server):
    threads = [threading.Thread(target=read, args=(api,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.log.count("login") == 1


def test_the_second_factor(api, server, clock):
    server.factor = True
    read(api)
    assert server.log == ["login", "code", "GET"]
    clock.at += 4000
    read(api)
    assert server.log[3:] == ["renew", "GET"]
    assert clock.slept == []


def test_a_code_is_never_used_twice(api, server, clock):
    server.factor = True
    clock.at = 1_000_005.0
    read(api)
    server.dead = list(server.made)[-1]
    clock.at += 0.5
    with pytest.raises(errors.Denied):
        read(api)
    read(api)
    assert len(server.codes) == 2
    assert clock.slept == [pytest.approx(14.5)]


def test_a_code_that_another_process_used_is_followed_by_the_next(api, server, clock):
    server.factor = True
    server.codes.add(totp.TOTP(KEY, 6, hashes.SHA1(), 30).generate(int(clock.at // 30) * 30).decode())
    read(api)
    assert server.log == ["login", "code", "login", "code", "GET"]


def test_a_wrong_second_factor_ends(api, server, clock, with_ticket):
    server.factor = True
    pathlib.Path(with_ticket.ticket.totp.file).write_text("AAAAAAAAAAAAAAAA")
    with pytest.raises(errors.Denied, match="second factor of root@pam is refused"):
        read(api)
    assert server.log.count("code") == 2
    assert sum(clock.slept) <= 30


@pytest.mark.parametrize("text", ["", "1", "not base32!", "otpauth://totp/x?secret=GEZDGNBV", "ÄÖ"])
def test_what_is_no_totp_secret_is_named_by_its_place(api, server, with_ticket, text):
    server.factor = True
    pathlib.Path(with_ticket.ticket.totp.file).write_text(text)
    with pytest.raises(errors.Denied, match=r"/totp does not hold the TOTP secret of root@pam \(base32") as caught:
        read(api)
    assert len(text) < 2 or text not in str(caught.value)


def test_a_second_factor_without_its_secret(connector, with_ticket, server):
    server.factor = True
    plain = dataclasses.replace(with_ticket, ticket=dataclasses.replace(with_ticket.ticket, totp=None))
    with (
        connector.connect(plain, transport=httpx.MockTransport(server)) as api,
        pytest.raises(errors.Denied, match=r"has a second factor \(name its secret in api\.ticket\.totp\)"),
    ):
        read(api)


def test_a_token_beside_it_asks_and_root_writes_what_only_root_may(connector, access, with_ticket, server):
    both = dataclasses.replace(access, ticket=with_ticket.ticket)
    with connector.connect(both, transport=httpx.MockTransport(server)) as api:
        assert (api.user, api.is_root) == ("transom@pve!main", False)
        write(api)
        assert api.root is not None
        assert api.root.is_root
        write(api.root)
    assert server.log == ["PUT as token", "login", "PUT"]


def test_who_is_not_root(connector, access, with_ticket, server):
    other = dataclasses.replace(with_ticket.ticket, user="admin@pve")
    for reach in (
        access,
        dataclasses.replace(access, ticket=other),
        dataclasses.replace(with_ticket, ticket=other),
        dataclasses.replace(access, token_id="root@pam!all"),
    ):
        with connector.connect(reach, transport=httpx.MockTransport(server)) as api:
            assert not api.is_root
            assert api.root is None


def test_neither_is_denied_at_once(connector, with_ticket, server):
    with pytest.raises(errors.Denied, match="neither a token nor a ticket"):
        connector.connect(dataclasses.replace(with_ticket, ticket=None), transport=httpx.MockTransport(server))


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"data":null}', b'{"data":{}}', b'{"data":{"ticket":"PVE:secret\\r\\nX: y"}}',
     b'{"data":{"ticket":"PVE:secret", "CSRFPreventionToken":7}}', b'{"data":{"ticket":"PVE:secret"'],
)  # fmt: skip
def test_an_answer_to_the_login_that_is_none(api, server, body):
    server.broken = [httpx.Response(200, content=body)]
    with pytest.raises(errors.Garbled) as caught:
        read(api)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("status", [500, 502, 595, 596, 599])
def test_a_server_in_trouble_says_nothing_about_the_password(api, server, status):
    server.broken = [httpx.Response(status) for _ in range(4)]
    with pytest.raises(errors.Unreachable):
        write(api)
    server.broken = []
    write(api)


def test_a_login_that_is_lost_sends_no_write(api, server):
    server.broken = [httpx.ReadError("reset")]
    with pytest.raises(errors.Unreachable) as caught:
        write(api)
    assert caught.value.hint == ""
    assert server.log == []


def test_secrets_are_nowhere(api, server, caplog):
    server.factor = True
    caplog.set_level(logging.DEBUG)
    for name in ("proxmoxer.core", "httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    read(api)
    write(api)
    server.broken = [httpx.Response(500, json={"message": "VM is locked (backup)"})]
    with pytest.raises(errors.Busy) as caught:
        write(api)
    session = api._session
    seen = [caplog.text, repr(api), repr(session), repr(vars(session)), repr(vars(session._who)), str(vars(api))]
    seen += ["".join(traceback.format_exception(caught.value)), repr(caught.value)]
    for text in seen:
        for secret in (PASSWORD, BASE32, BASE32.replace(" ", "").upper(), *server.made, *server.codes, "csrf-"):
            assert secret not in text
            assert urllib.parse.quote(secret) not in text
            assert json.dumps(secret) not in text


def test_two_at_a_time_write_on_a_node_whoever_they_are(connector, access):
    """Sessions of one process together, since they meet the same few workers; reads and other nodes do not wait."""
    writing = {"pve1": 0, "pve2": 0}
    most = dict(writing)
    guard, go = threading.Lock(), threading.Event()

    def slow(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            node = request.url.path.split("/")[4]
            with guard:
                writing[node] += 1
                most[node] = max(most[node], writing[node])
            assert go.wait(PATIENCE)
            with guard:
                writing[node] -= 1
        return httpx.Response(200, json={"data": {"digest": "d"} if request.method == "GET" else None})

    def change(node: str) -> None:
        with connector.connect(access, transport=httpx.MockTransport(slow)) as api:
            api.update(node, 100, values={"cores": 2}, digest="d")

    threads = [threading.Thread(target=change, args=(node,)) for node in ("pve1", "pve2") * 5]
    for thread in threads:
        thread.start()
    with connector.connect(access, transport=httpx.MockTransport(slow)) as api:
        read(api)
        until(lambda: sum(writing.values()) == 4)
    go.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert most == {"pve1": 2, "pve2": 2}
