"""The lab's API about what a VM is made of: cloud-init drives, sizes, features, keys, what keeps a VM on its node."""

from __future__ import annotations

import time
from typing import Any

import pytest

from transom.lab.pve import keys, node, replies, runstate, storage

VMS = "/nodes/pve1/qemu"
VM = f"{VMS}/112"
BASE = "memory: 64\nname: a\n"


def write(here: node.Node, text: str) -> None:
    here.place.config(112).write_text(text)


def running(here: node.Node) -> None:
    runstate.write(here.place, 112, runstate.Running(1, time.time(), "11.0.0", "11.0", {}, ()))


def refused(call: Any, *args: object, **params: object) -> replies.Refused:
    with pytest.raises(replies.Refused) as caught:
        call(*args, **params)
    return caught.value


def image(here: node.Node, name: str) -> int | None:
    return storage.size_of(here, storage.parse(here, f"local:112/{name}"))


def test_a_cloudinit_drive_is_made_with_the_vm_and_goes_with_it(here: node.Node, root: Any) -> None:
    end, lines = root.task("POST", VMS, vmid="112", ide0="local:cloudinit")
    assert end == "OK"
    assert "ide0: successfully created disk 'local:112/vm-112-cloudinit.qcow2,media=cdrom'" in lines
    assert here.load(112).main["ide0"] == "local:112/vm-112-cloudinit.qcow2,media=cdrom"
    assert image(here, "vm-112-cloudinit.qcow2") == 4 * 2**20
    assert root.task("DELETE", VM)[0] == "OK"
    assert image(here, "vm-112-cloudinit.qcow2") is None


def test_one_cloudinit_drive_a_vm(here: node.Node, root: Any) -> None:
    end, _ = root.task("POST", VMS, vmid="112", ide0="local:cloudinit", scsi0="local:cloudinit")
    assert "cloud-init drive is already attached at" in end
    assert not here.place.config(112).exists()


def test_a_removed_cloudinit_drive_leaves_nothing(here: node.Node, root: Any) -> None:
    write(here, BASE)
    root("PUT", f"{VM}/config", ide2="local:cloudinit,format=raw")
    assert image(here, "vm-112-cloudinit.raw")
    root("PUT", f"{VM}/config", delete="ide2")
    assert here.place.config(112).read_text() == BASE
    assert image(here, "vm-112-cloudinit.raw") is None


def test_what_changed_live_since_the_image_is_told(here: node.Node, root: Any) -> None:
    write(here, "ciuser: old\nide2: local:112/vm-112-cloudinit.qcow2,media=cdrom\nname: a\nsearchdomain: q\n")
    running(here)
    root("PUT", f"{VM}/config", ciuser="new", nameserver="1.1.1.1", delete="searchdomain")
    rows = {row["key"]: row for row in root("GET", f"{VM}/cloudinit")}
    assert rows["ciuser"] == {"key": "ciuser", "value": "old", "pending": "new"}
    assert rows["nameserver"] == {"key": "nameserver", "pending": "1.1.1.1"}
    assert rows["searchdomain"] == {"key": "searchdomain", "delete": 1}
    root("PUT", f"{VM}/config", ciuser="old", searchdomain="q", delete="nameserver")
    assert "special" not in here.place.config(112).read_text() or not here.load(112).special["cloudinit"]


@pytest.mark.parametrize(
    ("scsi0", "change", "complaint"),
    [
        ("", "none,media=cdrom", "unable to parse volume ID 'none'"),
        ("local:112/vm-112-disk-0.raw,size=1M", "none,media=cdrom", "unable to change media type"),
    ],
)
def test_drives_that_cannot_be_plugged(here: node.Node, root: Any, scsi0: str, change: str, complaint: str) -> None:
    write(here, BASE + (f"scsi0: {scsi0}\n" if scsi0 else ""))
    running(here)
    error = refused(root, "PUT", f"{VM}/config", scsi0=change)
    assert error.status == 400
    assert complaint in str(error.errors)
    assert here.load(112).pending["scsi0"] == change


def test_disks_grow_and_never_shrink(here: node.Node, root: Any) -> None:
    write(here, BASE)
    root("PUT", f"{VM}/config", scsi0="local-lvm:1")
    volid = str(here.load(112).main["scsi0"]).split(",", maxsplit=1)[0]
    assert root.task("PUT", f"{VM}/resize", disk="scsi0", size="+512M")[0] == "OK"
    assert here.load(112).main["scsi0"] == f"{volid},size=1536M"
    assert storage.size_of(here, storage.parse(here, volid)) == 1536 * 2**20
    assert root.task("PUT", f"{VM}/resize", disk="scsi0", size="1G")[0] == "shrinking disks is not supported"
    assert root.task("PUT", f"{VM}/resize", disk="scsi1", size="1G")[0] == "disk 'scsi1' does not exist"


def test_features_follow_the_disks(here: node.Node, root: Any) -> None:
    write(here, BASE)
    assert root("GET", f"{VM}/feature", feature="snapshot") == {"hasFeature": 1, "nodes": ["pve1"]}
    write(here, BASE + "scsi0: local:112/vm-112-disk-0.raw,size=1M\n")
    able = {name: root("GET", f"{VM}/feature", feature=name)["hasFeature"] for name in ("snapshot", "clone", "copy")}
    assert able == {"snapshot": 0, "clone": 0, "copy": 1}
    assert refused(root, "GET", f"{VM}/feature", feature="copy", snapname="zz").text == "snapshot 'zz' does not exist"


def test_keys_go_to_running_vms_only(here: node.Node, root: Any) -> None:
    write(here, BASE)
    assert refused(root, "PUT", f"{VM}/sendkey", key="ret").text == "VM 112 not running"
    running(here)
    assert root("PUT", f"{VM}/sendkey", key="ctrl-alt-delete") is None
    assert refused(root, "PUT", f"{VM}/sendkey", key="ctrl-nope").text == "invalid parameter: nope"
    assert refused(root, "PUT", f"{VM}/sendkey", key="").text == "sendkey: string expected"
    assert keys.unknown("0x1c-f24-<") is None
    assert keys.unknown("a-") == ""


def test_a_migration_is_refused_before_it_is_not_done(here: node.Node, root: Any) -> None:
    write(here, BASE)
    assert refused(root, "POST", f"{VM}/migrate", target="pve1").errors == {"target": "target is local node."}
    assert refused(root, "POST", f"{VM}/migrate", target="zz").text == "no such cluster node 'zz'"


def test_a_start_during_a_backup_lets_the_guest_go_on(here: node.Node, root: Any) -> None:
    write(here, f"lock: backup\n{BASE}")
    running(here)
    assert root.task("POST", f"{VM}/status/start")[0] == "OK"
    runstate.remove(here.place, 112)
    assert root.task("POST", f"{VM}/status/start")[0] == "VM is locked (backup)"


def test_a_mapping_without_its_device_cannot_be_plugged(here: node.Node, root: Any) -> None:
    here.write_cluster_file("mapping/usb.cfg", "gone\n\tmap id=1234:5678,node=pve1\n")
    write(here, f"{BASE}ostype: l26\n")
    running(here)
    complaint = "hotplug problem - USB Mapping invalid (hardware probably changed): usb device '1234:5678' not found"
    assert refused(root, "PUT", f"{VM}/config", usb0="mapping=gone").errors["usb0"].strip() == complaint


def test_what_keeps_a_vm_on_its_node(here: node.Node, root: Any) -> None:
    write(here, BASE + "hostpci0: 0000:00:02.0\nhostpci1: mapping=igpu\nserial0: socket\nusb0: spice\nusb1: host=1-1\n")
    found = root("GET", f"{VM}/migrate")
    assert (found["running"], found["allowed_nodes"]) == (0, [])
    assert found["local_resources"] == ["hostpci0", "usb1"]
    assert found["mapped-resource-info"] == {"hostpci1": {"name": "igpu"}}


@pytest.mark.parametrize(
    ("agent", "why"), [("", "disabled in VM options"), ("agent: 1\n", "agent configured but not running?")]
)
def test_a_snapshot_of_a_running_vm_tells_why_nothing_is_frozen(
    here: node.Node, root: Any, agent: str, why: str
) -> None:
    write(here, agent + BASE)
    assert "freeze" not in str(root.task("POST", f"{VM}/snapshot", snapname="off"))
    running(here)
    end, lines = root.task("POST", f"{VM}/snapshot", snapname="on")
    assert end == "OK"
    assert f"skipping guest filesystem freeze - {why}" in lines
