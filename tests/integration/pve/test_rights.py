"""Least privilege, shown: what ``mint`` prints suffices, and without any single right something fails and the check says what."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shlex

import pytest

from transom import daemon, errors, pve
from transom.lab.pve import access as accounts
from transom.lab.pve import world
from transom.plan import mint, rights
from transom.reconcile import checkup
from transom.spec import loader, resolve, wish

WHO = "transom@pve!main"
DOCUMENTS = """
apiVersion: transom/v1
kind: Cluster
metadata: {name: home}
spec:
  api:
    endpoints: [URL]
    token: {id: transom@pve!main, secret: {file: token}}
    fingerprint: PRINT
---
apiVersion: transom/v1
kind: Node
metadata: {name: pve1}
spec:
  cluster: home
---
apiVersion: transom/v1
kind: VirtualMachine
metadata: {name: a}
spec:
  node: pve1
  vmid: 112
  hardware:
    cores: 2
    memory: 64
    machine: q35
    disks: {scsi0: {storage: local-lvm, size: 1G}}
    network: {net0: {model: virtio, bridge: vmbr0}}
  media: {ide2: "local:iso/x.iso"}
  raw: {hostpci1: mapping=nic, ciuser: me, usb0: mapping=stick}
"""


@dataclasses.dataclass
class Place:
    """The API, the documents' node, and what root can do to its rights."""

    root: pathlib.Path
    node: wish.NodeWish
    grants: tuple[mint.Grant, ...]

    def run(self, lines: tuple[str, ...], secret: str) -> None:
        """What a root shell makes of the printed lines: this much of pveum is needed."""
        table = self.root / "etc/pve/user.cfg"
        known = accounts.parse(table.read_text())
        for line in lines:
            words = shlex.split(line.partition(" || ")[0], comments=True)
            match words[1:]:
                case ["role", "add", role, "--privs", privileges]:
                    known.roles[role] = frozenset(privileges.split(","))
                case ["user", "add", user, "--comment", _]:
                    known.users[user] = accounts.Account()
                case ["user", "token", "add", user, token, "--privsep", "1"]:
                    known.tokens[f"{user}!{token}"] = accounts.TokenEntry()
                    (self.root / "etc/pve/priv/token.cfg").write_text(f"{user}!{token} {secret}\n")
                case [
                    "acl",
                    "modify",
                    path,
                    "--users",
                    user,
                    "--tokens",
                    token,
                    "--roles",
                    role,
                    "--propagate",
                    spread,
                ]:
                    for who in (user, token):
                        known.acls.setdefault(path, {})[who] = {role: spread == "1"}
                case []:
                    pass
                case _:
                    raise AssertionError(line)
        table.write_text(accounts.render(known))

    @contextlib.contextmanager
    def without(self, path: str, privilege: str):
        """One privilege of one path taken from the token."""
        table = self.root / "etc/pve/user.cfg"
        before = table.read_text()
        known = accounts.parse(before)
        ((role, spread),) = known.acls[path][WHO].items()
        known.roles["Less"] = known.roles[role] - {privilege} or frozenset({"VM.Console"})
        known.acls[path][WHO] = {"Less": spread}
        table.write_text(accounts.render(known))
        yield
        table.write_text(before)

    def check(self) -> list[checkup.Check]:
        def no_shell():
            raise errors.Unreachable("no SSH here")

        with pve.connect(self.node.access) as api:
            return list(checkup.check(self.node, lambda: api, no_shell, lambda: api.clock()))

    def job(self) -> None:
        """What a run does over the API, from looking to deleting."""
        guest = self.node.guests[0]
        with pve.connect(self.node.access) as api:
            assert api.cluster_status().quorate
            assert api.pci("pve1")
            assert api.packages("pve1")
            assert api.kernel("pve1")
            if 500 not in api.guests("pve1") or not api.storages("pve1") >= {"local-lvm", "local"}:
                raise errors.Denied("not everything is seen")
            try:
                values = {key: want.value for key, want in guest.config.items()}
                api.wait(api.create("pve1", 112, {**values, "tags": "transom", "description": "x"}))
                found, digest = api.config("pve1", 112)
                # creating asks for less than changing does: drives only for their storages
                changes = {"cores": 1, "ide2": "none,media=cdrom", "scsi0": f"{found['scsi0']},ssd=1"}
                api.update("pve1", 112, values=changes, digest=digest)
                api.status("pve1", 112)
                with contextlib.suppress(errors.Rejected):  # nothing is there to boot with; the right is asked first
                    api.wait(api.start("pve1", 112))
            finally:
                with contextlib.suppress(errors.TransomError):
                    api.wait(api.stop("pve1", 112))
                (self.root / "etc/pve/qemu-server/112.conf").unlink(missing_ok=True)


@pytest.fixture
def place(serve, tmp_path: pathlib.Path) -> Place:
    site = serve(
        users=(world.User("root@pam", "pw"),), tokens=(), acl=(), roles={},
        vms={"500": "memory: 64\nname: foreign\nboot: \n"},
        pci=(world.PciDevice("0000:03:00.0", "8086:1533", "020000", 5, "8086:0001", driver="vfio-pci"),),
        pci_mappings={"nic": ("id=8086:1533,iommugroup=5,node=pve1,path=0000:03:00.0,subsystem-id=8086:0001",)},
        usb_mappings={"stick": ("id=046d:c07e,node=pve1",)},
    )  # fmt: skip
    iso = site.root / "var/lib/vz/template/iso/x.iso"
    iso.parent.mkdir(parents=True, exist_ok=True)
    iso.write_bytes(b"x")
    (tmp_path / "token").write_text("11111111-2222-3333-4444-555555555555")
    text = DOCUMENTS.replace("URL", site.api.url).replace("PRINT", site.api.fingerprint)
    (tmp_path / "fleet.yaml").write_text(text)
    (node,) = resolve.resolve(loader.load([tmp_path / "fleet.yaml"]))
    grants = mint.grants(rights.needs([node], "9.2.11"))
    found = Place(site.root, node, grants)
    found.run(mint.commands(grants, node.access.token_id), "11111111-2222-3333-4444-555555555555")
    return found


def missing(checks: list[checkup.Check]) -> set[tuple[str, str]]:
    return {(one.path, one.privilege) for one in checks if one.name == "right" and one.ok is False}


def test_each_right_suffices_with_the_others_and_is_needed(place: Place) -> None:
    assert missing(place.check()) == set()
    place.job()
    for grant in place.grants:
        for need in grant.needs:
            with place.without(grant.path, need.privilege):
                assert missing(place.check()) == {(grant.path, need.privilege)}
                with pytest.raises((errors.Denied, errors.Rejected)):
                    place.job()
    place.job()


def test_the_main_job_with_these_rights_alone(place: Place, tmp_path: pathlib.Path) -> None:
    fleet = tmp_path / "fleet.yaml"
    with daemon.open_service(tmp_path / "state", say=lambda _: None) as service:
        for text in (fleet.read_text(), fleet.read_text().replace("cores: 2", "cores: 4")):
            fleet.write_text(text)
            service.put([fleet])
            plan = service.propose(service.wish("pve1"))
            assert not plan.held, [finding.summary for finding in plan.findings]
            service.apply(service.wish("pve1"), approved=plan.hash)
            assert service.propose(service.wish("pve1")).empty
        assert checkup.well(service.check(service.wish("pve1")))
    assert "cores: 4" in (place.root / "etc/pve/qemu-server/112.conf").read_text()


def test_the_check_tells_all_at_once(place: Place) -> None:
    checks = {one.name: one for one in place.check()}
    assert [(name, one.ok) for name, one in checks.items()] == [
        ("api", True), ("time", True), ("node", True), ("quorum", True), ("right", True), ("root", None), ("ssh", None),
    ]  # fmt: skip
    assert checkup.well(place.check())
    (place.root / "etc/pve/.noquorum").touch()
    node = dataclasses.replace(place.node, pve_node="pve9", access=dataclasses.replace(place.node.access, ssh_host=""))
    with pve.connect(place.node.access) as api:
        told = checkup.check(node, lambda: api, lambda: pytest.fail("not asked"), lambda: api.clock() - 100)
    found = {one.name: one.text for one in told if one.ok is False}
    assert "the cluster has no node pve9; it has pve1" in found["node"]
    assert "no quorum" in found["quorum"] or "quorum" not in found
    assert "100 s ahead of ours" in found["time"]


def test_an_api_that_cannot_be_asked(place: Place) -> None:
    wrong = dataclasses.replace(place.node.access, fingerprint=":".join(["AA"] * 32))
    node = dataclasses.replace(place.node, access=dataclasses.replace(wrong, ssh_host=""))
    with pve.connect(wrong) as api:
        told = checkup.check(node, lambda: api, lambda: pytest.fail("not asked"), lambda: 0.0)
    assert [(one.name, one.ok) for one in told] == [("api", False), ("right", None), ("ssh", None)]
    assert "certificate" in told[0].text
