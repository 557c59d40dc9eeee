"""root@pam's ticket with a second factor on a real connection, and what it may set that no token may."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time

import pytest

from transom import errors, pve


@pytest.fixture
def vms() -> dict[str, str]:
    return {"100": "memory: 64\nname: one\nboot: \n"}


def connect(site, **changes):
    outside = pve.Outside(sleep=lambda _: None)
    return pve.Connector(outside).connect(site.access(**changes))


def test_root_sets_what_only_root_may(serve, vms):
    site = serve(vms=vms)
    with connect(site) as api:
        assert api.is_root
        _, digest = api.config("pve1", 100)
        api.update("pve1", 100, values={"args": "-D /tmp/x", "cores": 2}, digest=digest)
        assert api.config("pve1", 100)[0]["args"] == "-D /tmp/x"
    log = (site.root / "etc/pve/priv/tfa/root@pam.last").read_text()
    assert int(log) == pytest.approx(time.time() / 30, abs=2)


def test_a_second_process_logs_in_with_the_next_code(serve, vms):
    site = serve(vms=vms)
    with connect(site) as first, connect(site) as second:
        first.version()
        second.version()


def test_the_key_of_tickets_is_changed_under_us(serve, vms):
    """As PVE does once a day, or an administrator at once: the ticket is refused though it is young."""
    site = serve(vms=vms)
    clock = [0.0]
    outside = pve.Outside(now=lambda: clock[0], sleep=lambda _: None)
    with pve.Connector(outside).connect(site.access()) as api:
        _, digest = api.config("pve1", 100)
        (site.root / "etc/pve/priv/authkey.key").write_text(os.urandom(32).hex())
        clock[0] += 40
        api.update("pve1", 100, values={"args": "-x"}, digest=digest)
        assert api.config("pve1", 100)[0]["args"] == "-x"


def test_a_ticket_is_renewed_without_the_password_or_a_code(serve, vms):
    site = serve(vms=vms)
    clock = [0.0]
    with pve.Connector(pve.Outside(now=lambda: clock[0])).connect(site.access()) as api:
        api.version()
        (site.folder / "password").unlink()
        (site.folder / "totp").unlink()
        for _ in range(4):
            clock[0] += 3700
            api.config("pve1", 100)


def test_wrong_password_wrong_code_no_code(serve, vms):
    site = serve(vms=vms)
    access = site.access()
    plain = dataclasses.replace(access, ticket=dataclasses.replace(access.ticket, totp=None))
    with pve.connect(plain) as api, pytest.raises(errors.Denied, match="second factor"):
        api.config("pve1", 100)
    pathlib.Path(access.ticket.totp.file).write_text("A" * 32)
    with pve.Connector(pve.Outside(sleep=lambda _: None)).connect(access) as api, pytest.raises(errors.Denied):
        api.config("pve1", 100)
    pathlib.Path(access.ticket.password.file).write_text("wrong")
    with pve.connect(access) as api, pytest.raises(errors.Denied, match="refused"):
        api.config("pve1", 100)
