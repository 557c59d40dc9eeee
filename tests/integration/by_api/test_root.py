"""Root-only keys where SSH is not granted: root's ticket sends them, together with the token's part and under one digest."""

from __future__ import annotations

import pytest

from transom import errors
from transom.pve import client, login
from transom.reconcile.steps import guest

WISH = """  hardware: {name: win, memory: 4096, cores: 4}
  raw: {args: -no-hpet, hostpci0: '0000:00:02.0', vga: none}
"""
OTHER = WISH.replace("-no-hpet", "-no-hpet -S").replace("4096", "2048")


@pytest.fixture
def sent(monkeypatch):
    """Who wrote what, in order: the user, the method, and the keys."""
    calls = []
    call = client.Pve._call

    def noted(self, method, *path, data=None):
        if method != "GET":
            calls.append((self.user, method, set(data or {})))
        return call(self, method, *path, data=data)

    monkeypatch.setattr(client.Pve, "_call", noted)
    return calls


def test_root_only_keys_are_made_changed_and_taken_out(bench, sent):
    bench.give_root()
    bench.put(WISH)
    bench.apply()
    assert bench.values()["args"] == "-no-hpet"
    assert bench.values()["hostpci0"] == "0000:00:02.0"
    assert bench.plan().empty
    ((user, method, keys),) = sent
    assert (user, method) == ("root@pam", "POST")
    assert {"memory", "args", "hostpci0"} <= keys

    sent.clear()
    bench.put(OTHER)
    run = bench.apply()
    ((user, _, keys),) = sent
    assert user == "root@pam"
    assert keys - {"revert"} == {"memory", "args", "digest", "delete"}  # hostpci0 and vga are not sent again
    assert bench.plan().empty

    bench.undo(run)
    assert bench.values()["args"] == "-no-hpet"
    bench.put("  hardware: {name: win, memory: 4096, cores: 4}\n")
    bench.apply()
    assert not {"args", "hostpci0", "vga"} & bench.values().keys()
    assert bench.plan().empty


def test_what_a_token_may_is_the_tokens(bench, sent):
    bench.give_root()
    bench.put(WISH)
    bench.apply()
    sent.clear()
    bench.put(WISH.replace("4096", "2048"))
    bench.apply()
    assert {user for user, _, _ in sent} == {"transom@pve!transom"}
    assert bench.values()["args"] == "-no-hpet"


def test_one_digest_guards_both_parts(bench, monkeypatch):
    bench.give_root()
    bench.put(WISH)
    bench.apply()
    send = guest._update

    def late(*args):
        bench.set(args="-theirs", balloon="0")
        send(*args)

    bench.put(OTHER)
    monkeypatch.setattr(guest, "_update", late)
    with pytest.raises(errors.Void, match="checksum mismatch"):
        bench.apply()
    assert (bench.values()["args"], bench.values()["memory"]) == ("-theirs", "4096")


def test_a_ticket_that_has_expired_is_got_anew(bench, monkeypatch):
    bench.give_root()
    bench.put(WISH)
    bench.apply()
    here = bench.here.access
    real = type(here).ticket_user
    refused = []
    monkeypatch.setattr(login, "_PERIOD", -1)  # a ticket of any age may have run out

    def once(self, ticket):
        if not refused:
            refused.append(ticket)
            return ""
        return real(self, ticket)

    monkeypatch.setattr(type(here), "ticket_user", once)
    bench.put(OTHER)
    bench.apply()
    assert refused
    assert bench.values()["args"] == "-no-hpet -S"
    assert bench.plan().empty


def test_a_way_back_that_root_alone_could_go_writes_nothing_without(bench):
    bench.give_root()
    bench.put(WISH)
    bench.apply()
    bench.put(OTHER)
    run = bench.apply()
    bench.ticket = ""
    bench.put(OTHER)
    before = bench.text()
    with pytest.raises(errors.Denied, match="no way to root"):
        bench.undo(run)
    assert bench.text() == before
