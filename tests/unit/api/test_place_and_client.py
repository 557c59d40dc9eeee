"""How the commands find a daemon, and how its problems become errors again."""

from __future__ import annotations

import fcntl
import stat
import threading

import httpx
import pytest

from transom import errors
from transom.api import auth, place
from transom.cli import client, common
from transom.reconcile import locks


@pytest.fixture
def held(tmp_path):
    """The lock that a running daemon holds."""
    with (tmp_path / locks.DAEMON).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield tmp_path


def test_no_daemon_is_none(tmp_path):
    assert place.find(tmp_path) is None
    (tmp_path / locks.DAEMON).touch()
    assert place.find(tmp_path) is None, "a lock that nobody holds was left by one that was killed"


def test_a_daemon_is_found_while_it_is_published(held):
    with place.published(held, place.Place("http://127.0.0.1:1", "secret")):
        assert place.find(held) == place.Place("http://127.0.0.1:1", "secret")
        assert {stat.S_IMODE((held / name).stat().st_mode) for name in (place.PLACE, place.TOKEN)} == {0o600}
    assert [path.name for path in held.iterdir()] == [locks.DAEMON]


def test_one_that_starts_is_busy(held):
    with pytest.raises(errors.Busy, match="starting or stopping"):
        place.find(held)
    (held / place.PLACE).write_text("{}")
    with pytest.raises(errors.Busy):
        place.find(held)


def test_files_that_a_killed_daemon_left_are_replaced(held):
    (held / place.TOKEN).write_text("old")
    (held / f".{place.TOKEN}.new").write_text("half")
    with place.published(held, place.Place("u", "new")):
        assert (held / place.TOKEN).read_text() == "new"


def test_a_secret_is_not_shown():
    assert "secret" not in repr(place.Place("u", "secret"))


@pytest.fixture
def asked(api):
    found = client.Client(place.Place(api.url, "transom_admin"))
    yield found
    found.close()


@pytest.mark.parametrize(
    "error",
    [
        errors.Rejected("no", hint="do so"),
        errors.Void("other facts"),
        errors.Busy("locked"),
        errors.Denied("wrong key"),
        errors.Unreachable("no route"),
        errors.Garbled("cut off"),
        errors.VerifyFailed("differs"),
        errors.RomError("no GOP"),
        errors.TransomError("other"),
        errors.SpecError([errors.Mistake("a.yaml", 3, "spec.x", "is wrong"), "c: d"]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_on_both_sides(api, asked, error):
    def fail() -> None:
        raise error

    api.daemon.fail = fail
    with pytest.raises(type(error)) as told:
        asked.get("/v1/status")
    assert type(told.value) is type(error)
    assert str(told.value) == str(error)
    assert common.EXITS.get(type(told.value), 1) == common.EXITS.get(type(error), 1)


def test_what_http_refuses_has_its_class(api, asked):
    with pytest.raises(errors.Rejected, match="no document declares node 'none'"):
        asked.get("/v1/nodes/none/facts")
    api.daemon.fail = lambda: 1 / 0
    with pytest.raises(errors.TransomError, match="its log says more"):
        asked.get("/v1/status")
    stranger = client.Client(place.Place(api.url, "transom_nobody"))
    with pytest.raises(errors.Denied):
        stranger.get("/v1/nodes")
    stranger.close()


def test_a_server_that_is_no_daemon_is_garbled_not_believed(api, asked):
    asked._http = httpx.Client(
        base_url=api.url, transport=httpx.MockTransport(lambda _: httpx.Response(502, html="<h1>"))
    )
    with pytest.raises(errors.Garbled):
        asked.get("/v1/status")
    asked._http = httpx.Client(
        base_url=api.url, transport=httpx.MockTransport(lambda _: httpx.Response(200, html="<h1>"))
    )
    with pytest.raises(errors.Garbled):
        asked.get("/v1/status")


def test_which_daemon(api, tmp_path, monkeypatch, held):
    monkeypatch.delenv("TRANSOM_TOKEN", raising=False)
    monkeypatch.delenv("TRANSOM_TOKEN_FILE", raising=False)
    with pytest.raises(errors.Unreachable, match="transom serve"):
        client.need(tmp_path / "nobody", None)
    with place.published(held, place.Place("http://127.0.0.1:1", "here")):
        assert client._token(held, "http://127.0.0.1:1/") == "here"
        with pytest.raises(errors.Denied, match="no token"):
            client._token(held, api.url)
        monkeypatch.setenv("TRANSOM_TOKEN_FILE", str(tmp_path / "none"))
        with pytest.raises(errors.Denied, match="cannot read"):
            client._token(held, "http://other:1")
        monkeypatch.setenv("TRANSOM_TOKEN", " given \n")
        assert client._token(held, "http://other:1") == "given"


def test_an_event_is_seen_and_an_operation_followed_to_its_end(api, asked):
    api.provision(approve="plan")
    operation = next(iter(api.daemon.ops))
    assert asked.settle(operation)["shares"][0]["state"] == "done"
    assert asked.settle(operation, ["other"])["shares"] == []
    seen = asked.events()
    # the stream opens with the first look at it, so what is told meanwhile may be missed: tell until one comes
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(0.05):
            api.daemon.tell("plan.waiting")

    threading.Thread(target=go_on, daemon=True).start()
    assert next(seen)["kind"] == "plan.waiting"
    ended.set()
    seen.close()


def test_scopes_have_words():
    assert list(auth.WORDS) == ["viewer", "operator", "approver", "admin"]
