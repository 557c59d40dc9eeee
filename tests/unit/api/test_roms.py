"""Handing files in over HTTP: whole or not at all, within the limit, and what may be said beside them."""

from __future__ import annotations

import hashlib
import socket

import pytest

from patience import until
from transom.api import auth

BYTES = {"Content-Type": "application/octet-stream"}
LIMIT = 100_000
SHA = hashlib.sha256(b"bios").hexdigest()


def nothing_kept(api) -> bool:
    folder = api.daemon.files.partial("x").parent
    return not api.daemon.files.names() and not list(folder.iterdir())


def test_a_file_comes_in_and_goes_out(api):
    query = {"name": "b460.zip", "devices": "8086:9BC8,8086:9bc5", "compress": "true", "class_code": "030000"}
    answer = api.operator.post("/v1/roms", content=b"bios", headers=BYTES, params=query)
    assert (answer.status_code, answer.json()["rom"]) == (202, SHA)
    assert api.viewer.get(answer.headers["location"]).json()["state"] == "done"
    (ask,) = api.daemon.pushed
    assert (ask.name, ask.devices, ask.compress, ask.class_code) == (
        "b460.zip",
        ("8086:9bc8", "8086:9bc5"),
        True,
        0x030000,
    )
    assert api.viewer.get("/v1/roms").json()["items"][0]["sha256"] == SHA
    found = api.operator.get(f"/v1/roms/{SHA}/content")
    assert (found.content, found.headers["etag"]) == (b"bios", f'"{SHA}"')
    assert found.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("told", [True, False], ids=["length-told", "chunked"])
def test_too_much_is_413_and_nothing_is_kept(api, told):
    data = bytes(LIMIT + 1)
    body = data if told else iter([data[:60_000], data[60_000:]])
    assert api.operator.post("/v1/roms", content=body, headers=BYTES).status_code == 413
    assert nothing_kept(api)
    assert api.operator.post("/v1/roms", content=data[1:], headers=BYTES).status_code == 202


def test_what_breaks_off_leaves_nothing(api):
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        head = f"POST /v1/roms HTTP/1.1\r\nHost: x\r\nAuthorization: {api.headers(auth.Scope.OPERATOR)['Authorization']}\r\n"
        line.sendall(
            f"{head}Content-Type: application/octet-stream\r\nContent-Length: 90000\r\n\r\n".encode() + bytes(500)
        )
        until(lambda: not nothing_kept(api))
    until(lambda: nothing_kept(api))
    assert api.viewer.get("/v1/roms").json()["total"] == 0


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ({}, {"Content-Type": "text/plain"}, 415),
        ({"device": "8086:9bc8"}, BYTES, 400),
        ({"devices": "8086"}, BYTES, 400),
        ({"devices": "8086:9bc8,1002:1111"}, BYTES, 400),
        ({"devices": "8086:9bc8,8086:9bc5", "pci23": "true"}, BYTES, 400),
        ({"sha256": "abc"}, BYTES, 400),
        ({"name": "../x"}, BYTES, 400),
        ({"class_code": "xyz"}, BYTES, 400),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_kept(api, query, headers, status):
    assert api.operator.post("/v1/roms", content=b"bios", headers=headers, params=query).status_code == status
    assert nothing_kept(api)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://example.org/b460.zip", 202),
        ("ftp://example.org/b460.zip", 400),
        ("https://user:pass@example.org/b460.zip", 400),
        ("file:///etc/passwd", 400),
    ],
)
def test_a_url_is_asked_for_with_its_hash(api, url, status):
    assert api.operator.post("/v1/roms", json={"url": url, "sha256": SHA}).status_code == status
    assert api.operator.post("/v1/roms", json={"url": url}).status_code == 400


def test_gc_is_dry_unless_told(api):
    api.operator.post("/v1/roms", content=b"bios", headers=BYTES)
    assert api.operator.post("/v1/roms/gc", json={}).status_code == 403
    (row,) = api.admin.post("/v1/roms/gc", json={}).json()["items"]
    assert row["dropped"] is False
    assert api.admin.post("/v1/roms/gc", json={"dry_run": False}).json()["items"][0]["dropped"] is True
    assert api.admin.get("/v1/roms/none").status_code == 404
