"""root@pam's ticket with a second factor on a real connection, and what it may set that no token may."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import pathlib
import time
import traceback
import urllib.parse

import pytest

from transom import daemon, errors, pve
from transom.lab.pve import access as access_module
from transom.lab.pve import server, world
from transom.spec import wish


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


DOCUMENTS = """
apiVersion: transom/v1
kind: Cluster
metadata: {{name: home}}
spec:
  api:
    endpoints: ["{url}"]
    ticket: {{user: root@pam, password: {{file: "{folder}/password"}}, totp: {{file: "{folder}/totp"}}}}
    fingerprint: "{fingerprint}"
---
apiVersion: transom/v1
kind: Node
metadata: {{name: pve1}}
spec: {{cluster: home}}
---
apiVersion: transom/v1
kind: VirtualMachine
metadata: {{name: a}}
spec: {{node: pve1, vmid: 112, hardware: {{memory: 64}}, raw: {{args: "-D /tmp/x"}}}}
"""


def test_a_job_by_ticket_leaves_no_secret_anywhere(serve, tmp_path, caplog, capfd):
    """Neither in the store and its journal, nor in what is logged or told."""
    site = serve()
    access = site.access()
    state, fleet, said = tmp_path / "state", tmp_path / "fleet.yaml", []
    text = DOCUMENTS.format(url=site.api.url, fingerprint=site.api.fingerprint, folder=site.folder)
    fleet.write_text(text)
    tickets = []
    signed = access_module.Access.ticket
    with caplog.at_level(logging.DEBUG), pytest.MonkeyPatch.context() as patch:
        patch.setattr(access_module.Access, "ticket", lambda *a, **k: tickets.append(signed(*a, **k)) or tickets[-1])
        with daemon.open_service(state, say=said.append) as service:
            service.put([fleet])
            plan = service.propose(service.wish("pve1"))
            service.apply(service.wish("pve1"), approved=plan.hash)
            assert service.propose(service.wish("pve1")).empty
            told = [str(service.check(service.wish("pve1"))), str(service.runs()), repr(service.wish("pve1"))]
        (site.folder / "password").write_text("wrong-one")
        with daemon.open_service(tmp_path / "other", say=said.append) as service:
            service.put([fleet])
            lost = daemon.pve.Connector().connect(access)
            with pytest.raises(errors.Denied) as caught:
                lost.config("pve1", 112)
        told += ["".join(traceback.format_exception(caught.value))]
    assert "args: -D /tmp/x" in (site.root / "etc/pve/qemu-server/112.conf").read_text()
    assert tickets
    out, err = capfd.readouterr()
    stored = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())
    everything = "\n".join([caplog.text, out, err, *said, *told, stored.decode("latin-1")])
    for secret in ("a root's password", "wrong-one", "GEZDGNBV", *(one.rpartition(":")[2] for one in tickets)):
        assert secret not in everything
        assert urllib.parse.quote(secret, safe="") not in everything


def test_a_cluster_takes_one_ticket_at_each_endpoint(tmp_path):
    state = dataclasses.replace(
        world.lab_world(cluster=("pve1", "pve2")), users=(world.User("root@pam", "pw"),), delay=0.0
    )
    roots = {name: tmp_path / name for name in ("pve1", "pve2")}
    for root in roots.values():
        root.mkdir()
    with contextlib.ExitStack() as stack:
        served = []
        for name, root in roots.items():
            served.append(server.serve(state, root, node=name, roots=roots))
            stack.callback(served[-1].close)
        (tmp_path / "password").write_text("pw")
        (tmp_path / "ca.pem").write_bytes(
            b"".join((root / f"etc/pve/nodes/{name}/pveproxy-ssl.pem").read_bytes() for name, root in roots.items())
        )
        access = wish.Access(
            endpoints=tuple(one.url for one in served), token_id="", token_secret=wish.SecretRef(), fingerprint="",
            ca=str(tmp_path / "ca.pem"), ssh_host="", ssh_port=22, ssh_user="root", ssh_key=wish.SecretRef(),
            ssh_host_key="", ticket=wish.TicketRef("root@pam", wish.SecretRef(file=str(tmp_path / "password"))),
        )  # fmt: skip
        with pve.connect(access) as api:
            assert api.guests("pve2") == {}
            served[0].close()
            assert api.guests("pve2") == {}
