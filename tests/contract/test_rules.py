"""Rules of the lab's API that the records do not reach, or that others rely on."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from transom.lab.pve import conf, drives, files, formats, node, power, replies, runstate, schema, server

VM = "/nodes/pve1/qemu/112"


def write(here: node.Node, text: str, vmid: int = 112) -> None:
    here.place.config(vmid).write_text(text)


def text(here: node.Node, vmid: int = 112) -> str:
    return here.place.config(vmid).read_text()


def refused(call: Any, *args: object, **params: object) -> replies.Refused:
    with pytest.raises(replies.Refused) as caught:
        call(*args, **params)
    return caught.value


# -- formats


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("hostpci0", "0000:00:02.0,0000:00:02.0", "duplicate key in comma-separated list property: host"),
        ("hostpci0", "0000:00:02.0,=1", "missing key in comma-separated list property"),
        ("memory", "", "memory.current: property is missing and it is not optional"),
        ("agent", "", "agent.enabled: property is missing and it is not optional"),
        ("net0", "bridge=vmbr0", "net0.model: property is missing and it is not optional"),
        ("net0", "virtio,e1000=BC:24:11:00:00:01", "key alias 'model' is already defined"),
        ("scsi0", "nonsense", "unable to parse volume ID 'nonsense'"),
        ("ipconfig0", "gw=10.0.0.1", "ipconfig0.ip: missing property required by 'ipconfig0.gw'"),
    ],
)
def test_complaints_about_property_strings(key: str, value: str, complaint: str) -> None:
    assert complaint in formats.check_object(schema.SETTABLE, {key: value})[key]


@pytest.mark.parametrize("value", ["0000:00:02.0,legacy-igd=yes", "host=00:02", "mapping=igpu,rombar=0", " ", ""])
def test_odd_hostpci_values_that_pve_takes(value: str) -> None:
    assert formats.check_object(schema.SETTABLE, {"hostpci0": value}) == {}


def test_drive_reads_and_prints_in_pve_order() -> None:
    drive = drives.parse("scsi0", "ssd=1,file=local-lvm:vm-112-disk-0,size=34359738368,iothread=on")
    assert drive
    assert drives.render(drive) == "local-lvm:vm-112-disk-0,iothread=1,size=32G,ssd=1"


def test_file_survives_reading_and_writing() -> None:
    raw = (
        b'#two%3A\n#lines %25\nargs: -foo "a b"\nname: x\n\n[PENDING]\ndelete: name\nmemory: 128\n\n[s1]\nsnaptime: 1\n'
    )
    parsed = conf.parse(raw)
    assert parsed.main["description"] == "two:\nlines %"
    assert conf.render(parsed) == raw
    assert parsed.digest == hashlib.sha1(raw).hexdigest()


# -- changes


def test_a_token_may_not_touch_what_is_roots(here: node.Node, token: Any) -> None:
    write(here, "args: -foo\nname: a\n")
    assert refused(token, "PUT", f"{VM}/config", args="-bar").text == "only root can set 'args' config"
    assert refused(token, "PUT", f"{VM}/config", hostpci0="0000:00:02.0").status == 500
    assert token("PUT", f"{VM}/config", name="b") is None
    assert text(here) == "args: -foo\nname: b\n"


def test_pending_applies_at_reboot(here: node.Node, root: Any) -> None:
    write(here, "kvm: 0\nmemory: 64\nvga: none\n")
    assert root.task("POST", f"{VM}/status/start")[0] == "OK"
    root("PUT", f"{VM}/config", memory="128", name="live")
    assert text(here) == "kvm: 0\nmemory: 64\nname: live\nvga: none\n\n[PENDING]\nmemory: 128\n"
    assert {"key": "memory", "value": "64", "pending": "128"} in root("GET", f"{VM}/pending")
    assert root.task("POST", f"{VM}/status/reboot")[0] == "OK"
    (start,) = [one.text for one in here.tasks.newest_first() if one.type == "qmstart" and one.caller.root][:1]
    assert here.tasks.wait(start, 5) == "OK"  # a task of its own
    running = runstate.read(here.place, 112)
    assert running
    assert running.config["memory"] == "128"
    assert text(here) == "kvm: 0\nmemory: 128\nname: live\nvga: none\n"


def test_a_detached_disk_is_kept_and_a_forced_one_removed(here: node.Node, root: Any) -> None:
    assert root.task("POST", "/nodes/pve1/qemu", vmid="112", scsi0="local-lvm:4,ssd=1")[0] == "OK"
    volume = here.place.state / "volumes/local-lvm/vm-112-disk-0"
    root("PUT", f"{VM}/config", delete="scsi0")
    assert "unused0: local-lvm:vm-112-disk-0\n" in text(here)
    assert volume.exists()
    root("PUT", f"{VM}/config", scsi1="local-lvm:vm-112-disk-0")
    assert "scsi1: local-lvm:vm-112-disk-0,size=4G\n" in text(here)
    assert "unused0" not in text(here)
    root("PUT", f"{VM}/config", delete="scsi1", force="1")
    assert not volume.exists()


def test_an_image_gets_its_size(here: node.Node, root: Any) -> None:
    write(here, "name: a\n")
    iso = here.place.root / "var/lib/vz/template/iso/x.iso"
    iso.parent.mkdir(parents=True)
    iso.write_bytes(bytes(3 * 2**20))
    root("PUT", f"{VM}/config", ide2="local:iso/x.iso,media=cdrom")
    assert "ide2: local:iso/x.iso,media=cdrom,size=3M\n" in text(here)
    missing = refused(root, "PUT", f"{VM}/config", ide2="local:iso/y.iso,media=cdrom")
    assert missing.text == "volume 'local:iso/y.iso' does not exist"


# -- starting with a device


def test_start_with_the_igpu(here: node.Node, root: Any) -> None:
    write(here, "hostpci0: 0000:00:02.0,legacy-igd=1,romfile=igd.rom\nvga: none\n")
    status, log = root.task("POST", f"{VM}/status/start")
    assert status == "start failed: QEMU exited with code 1"
    assert 'failed to find romfile "/usr/share/kvm/igd.rom"' in log[0]
    (here.place.root / "usr/share/kvm/igd.rom").write_bytes(b"\x55\xaa")
    assert root.task("POST", f"{VM}/status/start") == ("OK", ["TASK OK"])
    write(here, "hostpci0: 0000:00:02.0\n", 113)
    assert root.task("POST", "/nodes/pve1/qemu/113/status/start")[0] == (
        "PCI device '0000:00:02.0' already in use by VMID '112'"
    )


def test_start_without_vfio_fails(here: node.Node, root: Any) -> None:
    write(here, "hostpci0: 0000:00:1f.3\n")
    status, log = root.task("POST", f"{VM}/status/start")
    assert status == "start failed: QEMU exited with code 1"
    assert log[0].endswith("vfio 0000:00:1f.3: failed to open /dev/vfio/3: No such file or directory")


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ("-set device.hostpci7.addr=02.0", '-set device.hostpci7.addr=02.0: there is no device "hostpci7" defined'),
        ("-nonsense", "-nonsense: invalid option"),
        ("-device nonsense", "-device nonsense: 'nonsense' is not a valid device model name"),
    ],
)
def test_arguments_that_qemu_refuses(here: node.Node, root: Any, args: str, complaint: str) -> None:
    write(here, f"args: {args}\n")
    assert root.task("POST", f"{VM}/status/start")[1][0] == f"kvm: {complaint}"


def test_run_state_is_gone_after_a_reboot_of_the_node(here: node.Node, root: Any) -> None:
    write(here, "name: a\n")
    root.task("POST", f"{VM}/status/start")
    for path in here.place.run.iterdir():
        path.unlink()
    assert root("GET", f"{VM}/status/current")["status"] == "stopped"


# -- files and counters


def test_counters_move_with_every_write_and_only_then(here: node.Node, root: Any) -> None:
    def version(vmid: str = "112") -> int:
        files.refresh(here.place)
        return int(json.loads((here.place.etc / ".vmlist").read_text())["ids"][vmid]["version"])

    write(here, "name: a\n")
    first = version()
    root("GET", f"{VM}/config")
    refused(root, "PUT", f"{VM}/config", cores="x")
    assert version() == first
    root("PUT", f"{VM}/config", name="b")
    second = version()
    assert second > first
    write(here, "name: c\n")
    assert version() > second
    start = json.loads((here.place.etc / ".version").read_text())["starttime"]
    assert start <= time.time()


def test_the_short_path_is_the_same_file(here: node.Node, root: Any) -> None:
    (here.place.etc / "qemu-server/115.conf").write_text("name: straight\n")
    assert root("GET", "/nodes/pve1/qemu/115/config")["name"] == "straight"


def test_links_in_a_node_do_not_lead_out_of_its_root(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "run/lock").mkdir(parents=True)
    outside.mkdir()
    (root / "var").mkdir()
    (root / "var/lock").symlink_to("/run/lock")
    (root / "var/log").symlink_to(outside)
    (root / "up").symlink_to("../../..")
    assert files.below(root, "/var/lock/x") == root / "run/lock/x"
    assert files.below(root, "var/log/pve") == root / str(outside).lstrip("/") / "pve"
    assert files.below(root, "up/etc") == root / "etc"
    files.NodeFiles(root, "pve1").lay_out()
    assert list(outside.iterdir()) == []
    assert (root / "run/lock/qemu-server").is_dir()


def test_a_task_whose_process_died_is_told_so(here: node.Node, root: Any) -> None:
    upid = "UPID:pve1:00000400:00000001:60000000:qmstart:112:root@pam:"
    (here.place.tasks / upid).write_text("half a line")
    assert root("GET", f"/nodes/pve1/tasks/{upid}/status")["exitstatus"] == "unexpected status"


def test_a_running_task_can_be_interrupted(here: node.Node) -> None:
    here.tasks.background = True
    write(here, "name: a\n")
    power.record(here, 112, here.load(112), [])
    from transom.lab.pve import access

    upid = here.tasks.start("qmshutdown", "112", access.ROOT, lambda log: log.sleep(30))
    assert here.tasks.end(upid) is None
    here.tasks.stop(upid)
    assert here.tasks.wait(upid, 5) == "received interrupt"


def test_writers_of_one_vm_take_turns(here: node.Node, root: Any) -> None:
    write(here, "name: a\n")
    threads = [threading.Thread(target=root, args=("PUT", f"{VM}/config"), kwargs={f"usb{number}": "spice"})
               for number in range(8)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert text(here).count("spice") == 8


# -- over HTTPS


def test_token_and_fingerprint(served: tuple[server.Server, httpx.Client]) -> None:
    running, client = served
    assert client.get("/version").json()["data"]["release"] == "9.2"
    assert len(running.fingerprint.split(":")) == 32
    answer = client.post("/nodes/pve1/qemu", data={"vmid": "120", "args": "-foo"})
    assert (answer.status_code, answer.json()["message"]) == (500, "only root can set 'args' config\n")
    assert answer.headers["connection"] == "close"
    assert client.get("/nodes/pve1/qemu").json() == {"data": []}


def test_agent_answers_from_files(served: tuple[server.Server, httpx.Client], tmp_path: Path) -> None:
    running, client = served
    answers = tmp_path / "var/lib/transom-lab/agent/112"
    answers.mkdir(parents=True)
    (answers / "ping.json").write_text("{}")
    (answers / "exec.json").write_text('[{"match": "powershell", "exitcode": 0, "out-data": "[]"}]')
    write(running.node, "agent: 1\nname: a\n")
    power.record(running.node, 112, running.node.load(112), [])
    base = "/nodes/pve1/qemu/112/agent"
    assert client.post(f"{base}/ping").json() == {"data": {"result": {}}}
    pid = client.post(f"{base}/exec", data={"command": ["powershell", "-c", "x"]}).json()["data"]["pid"]
    assert client.get(f"{base}/exec-status", params={"pid": pid}).json()["data"] == {
        "exited": 1, "exitcode": 0, "out-data": "[]"}  # fmt: skip


def test_another_node_of_the_cluster_answers_from_its_root(tmp_path: Path) -> None:
    from transom.lab.pve import world

    roots = {name: tmp_path / name for name in ("pve1", "pve2")}
    states = {name: world.lab_world(name, ("pve1", "pve2"), root_password="x") for name in roots}
    running = [server.serve(states[name], roots[name], 0, node=name, roots=roots) for name in roots]
    try:
        write(running[1].node, "name: there\n", 300)
        first = running[0].node
        rows = conf_of(first, "/nodes/pve2/qemu/300/config")
        assert rows["name"] == "there"
        assert first.where(300) == "pve2"
        assert refused(conf_of, first, "/nodes/pve3/qemu").status == 500
    finally:
        for one in running:
            one.close()


def conf_of(here: node.Node, path: str) -> Any:
    from transom.lab.pve import access, routes, routing

    request = routing.Request(here, access.ROOT, {})
    return routing.dispatch(routes.TABLE, here, access.ROOT, "GET", request, path)


def test_usb_devices_with_their_place(root: Any) -> None:
    assert root("GET", "/nodes/pve1/hardware/usb") == [
        {
            "busnum": 1,
            "devnum": 1,
            "vendid": "046d",
            "prodid": "c07e",
            "speed": "480",
            "class": 0,
            "port": 0,
            "level": 1,
            "usbpath": "1",
        }
    ]


def test_mapping_that_no_longer_fits_is_told(root: Any) -> None:
    good = "node=pve1,path=0000:00:02.0,id=8086:9bc8,iommugroup=1,subsystem-id=1849:9bc8"
    root("POST", "/cluster/mapping/pci", id="igpu", map=[good])
    root("POST", "/cluster/mapping/pci", id="moved", map=[good.replace("iommugroup=1", "iommugroup=7")])
    rows = {row["id"]: row["checks"] for row in root("GET", "/cluster/mapping/pci", **{"check-node": "pve1"})}
    assert rows["igpu"] == []
    text = "Invalid configuration: 'iommugroup' does not match for 'moved' (1 != 7)\n"
    assert rows["moved"] == [{"severity": "error", "message": text}]
