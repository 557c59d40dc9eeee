"""Another node of the cluster as far as leaving for it needs one: its folder in /etc/pve, with ``lrm_status`` as of one that is
online. A VM that is moved there is its file there, and a mark that it runs; nothing of it is done."""

from __future__ import annotations

from pathlib import Path

from transom.lab.pve import files, node, power, replies, runstate
from transom.lab.pve.tasks import Log


def online(here: node.Node) -> list[str]:
    """Names, without those of real lab nodes."""
    folder = here.place.etc / "nodes"
    found = sorted(path.parent.name for path in folder.glob("*/lrm_status"))
    return [name for name in found if name not in here.world.nodes]


def there(here: node.Node, name: str, vmid: int) -> Path:
    return here.place.etc / "nodes" / name / "qemu-server" / f"{vmid}.conf"


def leave(here: node.Node, vmid: int, name: str) -> None:
    """Refused as qemu-server does: to nowhere, or with a device passed through."""
    power.need_config(here, vmid)
    if name not in online(here):
        replies.die(f"no such cluster node '{name}'")
    if any(key.startswith("hostpci") for key in here.load(vmid).main):
        replies.die("can't migrate VM which uses local devices: hostpci0")
    target = there(here, name, vmid)
    target.parent.mkdir(parents=True, exist_ok=True)
    if runstate.remove(here.place, vmid):
        target.with_suffix(".runs").touch()
    here.place.config(vmid).rename(target)
    files.refresh(here.place)


def come_back(here: node.Node, vmid: int, name: str, log: Log) -> None:
    """Running if it ran there."""
    source = there(here, name, vmid)
    if not source.exists():
        replies.die(f"unable to find configuration file for VM {vmid} on node '{name}'")
    source.rename(here.place.config(vmid))
    files.refresh(here.place)
    mark = source.with_suffix(".runs")
    if mark.exists():
        mark.unlink()
        power.start(here, vmid, log)
