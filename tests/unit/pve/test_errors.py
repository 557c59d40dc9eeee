"""Each way in which PVE or the line to it can fail, as recorded, and the error it becomes."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import logging
import pathlib
import socket

import httpx
import pytest

from transom import errors, pve
from transom.spec import wish

GOLDEN = pathlib.Path(__file__).parents[2] / "golden/pve/answers.json"
ANSWERS = json.loads(GOLDEN.read_text())
CONFIG = "/nodes/pve1/qemu/700/config"
READ_FIRST = "it may have happened: read before doing it again"


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: f"{case['status']} {case['reason'][:40]}")
def test_answers(api, fake, make_answer, case):
    fake.answers[f"GET {CONFIG}"] = make_answer(case["status"], case["reason"], case["body"])
    with pytest.raises(errors.TransomError) as caught:
        api.config("pve1", 700)
    assert type(caught.value).__name__ == case["error"]
    assert case["says"] in str(caught.value)
    assert "\n" not in str(caught.value)
    if "fields" in case:
        assert sorted(caught.value.fields) == case["fields"]


def test_every_class_of_failure_is_in_the_golden_list():
    assert {case["error"] for case in ANSWERS} == {"Denied", "Rejected", "Busy", "Void", "Unreachable", "Garbled"}


@pytest.mark.parametrize("status", [595, 596])
def test_after_a_lost_write_one_reads_first(api, fake, make_answer, status):
    for method in ("GET", "PUT"):
        fake.answers[f"{method} {CONFIG}"] = make_answer(status, "Connection timed out")
    with pytest.raises(errors.Unreachable) as write:
        api.update("pve1", 700, values={"name": "x"}, digest="d")
    with pytest.raises(errors.Unreachable) as read:
        api.config("pve1", 700)
    assert write.value.hint == READ_FIRST
    assert read.value.hint == ""
    # What reads is asked of the other endpoint when the first one cannot connect to the node; what writes never is.
    assert [asked.method for asked in fake.asked] == ["PUT", "GET", "GET"][: 3 if status == 595 else 2]


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout("slow"),
        httpx.WriteTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_write_is_sent_once_whatever_happens(api, fake, error):
    fake.answers[f"PUT {CONFIG}"] = error
    with pytest.raises(errors.Unreachable) as caught:
        api.update("pve1", 700, values={"name": "x"}, digest="d")
    assert len(fake.asked) == 1
    assert caught.value.hint == READ_FIRST


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data":', b"[]"])
def test_a_write_whose_answer_is_nonsense_may_have_happened(api, fake, make_answer, body):
    fake.answers[f"PUT {CONFIG}"] = make_answer(200, "OK", body)
    with pytest.raises(errors.Garbled) as caught:
        api.update("pve1", 700, values={"name": "x"}, digest="d")
    assert caught.value.unsure
    assert len(fake.asked) == 1


def test_a_read_on_a_connection_just_closed_is_sent_again(api, fake, turns):
    fake.answers[f"GET {CONFIG}"] = turns(httpx.RemoteProtocolError("closed"), {"digest": "d", "name": "x"})
    assert api.config("pve1", 700) == ({"name": "x"}, "d")


def test_a_read_is_sent_three_times_at_most_with_a_pause_of_chance(access, fake):
    slept: list[float] = []
    fake.answers[f"GET {CONFIG}"] = httpx.ReadError("reset")
    outside = pve.Outside(sleep=slept.append, chance=lambda: 0.5)
    connection = pve.Connector(outside).connect(access, transport=httpx.MockTransport(fake))
    with connection as api, pytest.raises(errors.Unreachable):
        api.config("pve1", 700)
    assert len(fake.asked) == 3
    assert slept == [0.375]


def test_a_read_goes_to_the_endpoint_that_reaches_the_node_and_stays(api, fake, make_answer):
    def only_second(request):
        if request.url.host == "pve1":
            return make_answer(595, "No route to host")
        return httpx.Response(200, json={"data": {"digest": "d"}})

    fake.answers[f"GET {CONFIG}"] = only_second
    api.config("pve1", 700)
    api.config("pve1", 700)
    assert fake.hosts == ["pve1", "pve2", "pve2"]


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("lost", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("closed"), 596])
def test_after_an_endpoint_has_lost_a_request_the_other_one_is_asked(api, fake, make_answer, method, lost):
    def only_second(request):
        if request.url.host == "pve2":
            return httpx.Response(200, json={"data": {"digest": "d"}})
        if isinstance(lost, Exception):
            raise lost
        return make_answer(lost, "Connection timed out")

    fake.answers[f"GET {CONFIG}"] = fake.answers[f"PUT {CONFIG}"] = only_second
    with contextlib.suppress(errors.Unreachable):  # a read on a broken connection has gone to the other one by itself
        api.config("pve1", 700) if method == "GET" else api.update("pve1", 700, values={"name": "x"}, digest="d")
    api.config("pve1", 700)
    api.config("pve1", 700)
    assert fake.hosts[0] == "pve1"
    assert set(fake.hosts[1:]) == {"pve2"}


def test_a_slow_read_is_not_repeated(api, fake):
    fake.answers[f"GET {CONFIG}"] = httpx.ReadTimeout("slow")
    with pytest.raises(errors.Unreachable):
        api.config("pve1", 700)
    assert len(fake.asked) == 1


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow")])
def test_what_was_not_connected_goes_to_the_next_endpoint(api, fake, error):
    def only_second(request):
        if request.url.host == "pve1":
            raise error
        return httpx.Response(200, json={"data": None})

    fake.answers[f"PUT {CONFIG}"] = only_second
    api.update("pve1", 700, values={"name": "x"}, digest="d")
    api.update("pve1", 700, values={"name": "y"}, digest="d")
    assert fake.hosts == ["pve1", "pve2", "pve2"]


def test_other_failures_stay_at_their_endpoint(api, fake, make_refused):
    fake.answers[f"GET {CONFIG}"] = make_refused("VM is locked (backup)")
    with pytest.raises(errors.Busy):
        api.config("pve1", 700)
    assert fake.hosts == ["pve1"]


def test_no_endpoint_answers(api, fake):
    fake.answers[f"PUT {CONFIG}"] = httpx.ConnectError("refused")
    with pytest.raises(errors.Unreachable, match="refused") as caught:
        api.update("pve1", 700, values={"name": "x"}, digest="d")
    assert fake.hosts == ["pve1", "pve2"]
    assert caught.value.hint == ""


def test_an_answer_without_end_is_garbled(api, fake):
    fake.answers[f"GET {CONFIG}"] = httpx.Response(200, content=(b"x" * (1 << 20) for _ in range(100)))
    with pytest.raises(errors.Garbled, match="more than"):
        api.config("pve1", 700)


def test_a_broken_encoding_is_garbled(api, fake):
    fake.answers[f"GET {CONFIG}"] = lambda request: httpx.Response(
        200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"not gzip"), request=request
    )
    with pytest.raises(errors.Garbled):
        api.config("pve1", 700)


def _no_connection(cause: OSError) -> httpx.ConnectError:
    error = httpx.ConnectError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "says", "hint"),
    [
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
            "nothing listens there",
            "is pveproxy running",
        ),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "the name of the host is not known",
            "resolve it",
        ),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no route to the host", "is the node up"),
    ],
    ids=["refused", "name", "route"],
)
def test_why_there_is_no_connection_is_said_in_words_with_the_way_out(api, fake, cause, says, hint):
    fake.answers[f"GET {CONFIG}"] = _no_connection(cause)
    with pytest.raises(errors.Unreachable) as caught:
        api.config("pve1", 700)
    assert says in caught.value.message
    assert "Errno" not in str(caught.value)
    assert hint in caught.value.hint
    assert "api.endpoints" in caught.value.hint


def test_a_refused_token_is_named_with_the_place_of_its_secret(access, api, fake, make_answer):
    fake.answers[f"GET {CONFIG}"] = make_answer(401, "Authentication failed!")
    with pytest.raises(errors.Denied) as caught:
        api.config("pve1", 700)
    assert f"token {access.token_id} is refused" in caught.value.hint
    assert f"file {access.token_secret.file}" in caught.value.hint
    assert "`pveum user token list transom@pve`" in caught.value.hint


def _with(access: wish.Access, **changes: object) -> wish.Access:
    return dataclasses.replace(access, **changes)  # type: ignore[arg-type]


def test_credentials_that_cannot_be_used_are_denied_at_once(access, tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    monkeypatch.setenv("ODD_TOKEN", "two words")
    (tmp_path / "binary").write_bytes(b"\xff\0")
    for changes, says in (
        (
            {"token_secret": wish.SecretRef(file=str(tmp_path / "none"))},
            "cannot read .* does not exist .put the secret there",
        ),
        ({"token_secret": wish.SecretRef(file=str(tmp_path / "binary"))}, "cannot read .* is not text in UTF-8"),
        ({"token_secret": wish.SecretRef(env="NO_SUCH_TOKEN")}, "NO_SUCH_TOKEN is not set .set it where"),
        ({"token_secret": wish.SecretRef(env="ODD_TOKEN")}, "ODD_TOKEN does not hold"),
        ({"endpoints": ("http://pve1:8006",)}, "over https only"),
        ({"endpoints": ()}, "no endpoint"),
        ({}, "neither a fingerprint nor a CA"),
        ({"ca": str(tmp_path / "none.pem")}, "cannot use CA file"),
    ):
        with pytest.raises(errors.Denied, match=says) as caught:
            pve.connect(_with(access, **changes))
        assert "two words" not in str(caught.value)


def test_no_secret_reaches_the_logs_or_the_errors(access, fake, make_refused, caplog):
    fake.answers[f"PUT {CONFIG}"] = make_refused("VM is locked (backup)")
    fake.answers[f"GET {CONFIG}"] = {"digest": "d", "cipassword": "hunter2"}
    with caplog.at_level(logging.DEBUG):
        for name in ("proxmoxer.core", "httpx", "httpcore"):
            caplog.set_level(logging.DEBUG, logger=name)
        with pve.connect(access, transport=httpx.MockTransport(fake)) as api:
            api.config("pve1", 700)
            with pytest.raises(errors.Busy) as caught:
                api.update("pve1", 700, values={"cipassword": "hunter2"}, digest="d")
    assert caplog.records
    secret = pathlib.Path(access.token_secret.file).read_text().strip()
    for text in (caplog.text, str(caught.value), repr(caught.value)):
        assert secret not in text
        assert "hunter2" not in text
