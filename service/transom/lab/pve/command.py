"""The command line of a VM: what `qm showcmd` prints and a start hands to QEMU."""

from __future__ import annotations

import re
import shlex

from transom.lab.pve import (
    change,
    conf,
    devices,
    drives,
    formats,
    mapping,
    node,
    passthrough,
    permit,
    qemuargs,
    replies,
    storage,
)


def build(here: node.Node, vmid: int, current: conf.Conf, log: list[str]) -> list[str]:
    """The words after the program's name; raises as PVE does when a rule forbids the start. Fills `log` with warnings."""
    check_host(here, current)
    if current.text("bios") == "ovmf" and "efidisk0" not in current.main:
        log.append("WARN: no efidisk configured! Using temporary efivars disk.")
    words = head(vmid, current)
    chosen = passthrough.choose(here, vmid, passthrough.judge(here, current))
    for given, group in chosen:
        words += passthrough.device_words(current, given, group)
    words += usb_words(here, current) + port_words(here, current)
    words += drive_words(here, current) + net_words(vmid, current)
    words += ["-machine", f"type={machine(here, current)}"]
    return words + qemuargs.split(current.text("args"))


def check_host(here: node.Node, current: conf.Conf) -> None:
    if current.main.get("kvm") != 0 and not here.world.kvm:
        replies.die("KVM virtualisation configured, but not available. Either disable in VM configuration or enable in "
                    "BIOS.")  # fmt: skip
    version = re.search(r"-(\d+)\.(\d+)", current.text("machine"))
    installed = tuple(int(part) for part in here.world.qemu.split(".")[:2])
    if version and (int(version[1]), int(version[2])) > installed:
        replies.die(f"Installed QEMU version '{here.world.qemu}' is too old to run machine type "
                    f"'{machine(here, current)}', please upgrade node '{here.name}'")  # fmt: skip


def head(vmid: int, current: conf.Conf) -> list[str]:
    sockets, cores = int(current.main.get("sockets") or 1), int(current.main.get("cores") or 1)
    cpu = formats.parse_property_string(devices.CPU, current.text("cpu") or "kvm64").get("cputype", "kvm64")
    vga = formats.parse_property_string(devices.VGA, current.text("vga")).get("type", "std")
    words = ["-name", f"{current.text('name') or f'vm{vmid}'},debug-threads=on", "-no-shutdown",
             "-pidfile", f"/var/run/qemu-server/{vmid}.pid", "-daemonize"]  # fmt: skip
    if smbios := current.text("smbios1"):
        words += ["-smbios", f"type=1,{smbios}"]
    words += ["-smp", f"{sockets * cores},sockets={sockets},cores={cores},maxcpus={sockets * cores}", "-nodefaults"]
    words += ["-vga", "none"] if vga == "none" else ["-device", f"{vga_device(vga)},id=vga,bus=pci.0,addr=0x2"]
    words += ["-cpu", cpu, "-m", str(change.memory_of(current.text("memory")))]
    if vmgenid := current.text("vmgenid"):
        words += ["-device", f"vmgenid,guid={vmgenid}"]
    return words


def vga_device(kind: str) -> str:
    return {"cirrus": "cirrus-vga", "vmware": "vmware-svga", "virtio": "virtio-vga", "virtio-gl": "virtio-vga-gl",
            "qxl": "qxl-vga", "qxl2": "qxl-vga", "qxl3": "qxl-vga", "qxl4": "qxl-vga"}.get(kind, "VGA")  # fmt: skip


def machine(here: node.Node, current: conf.Conf) -> str:
    """The machine type with its version: the configured, else the installed QEMU's."""
    kind = formats.parse_property_string(devices.MACHINE_FIELDS, current.text("machine")).get("type", "pc")
    version = ".".join(here.world.qemu.split(".")[:2])
    name = {"pc": f"pc-i440fx-{version}", "q35": f"pc-q35-{version}"}.get(kind, kind)
    return name if "+pve" in name else f"{name}+pve0"


def machine_version(here: node.Node, current: conf.Conf) -> str:
    found = re.search(r"-(\d+\.\d+)", machine(here, current))
    return found[1] if found else here.world.qemu


def usb_words(here: node.Node, current: conf.Conf) -> list[str]:
    words: list[str] = []
    modern = current.text("ostype") in ("l26", "win8", "win10", "win11")
    for index in range(14):
        value = current.text(f"usb{index}")
        if not value:
            continue
        if index >= 5 and not modern:
            replies.die(f"using usb{index} is only possible with machine type >= 7.1 and ostype l26 or windows > 7")
        words += usb_device(here, index, permit.parsed(f"usb{index}", value))
    return words


def usb_device(here: node.Node, index: int, options: dict[str, str]) -> list[str]:
    host = options.get("host", "")
    if host.lower() == "spice":
        return ["-chardev", f"spicevmc,id=usbredirchardev{index},name=usbredir",
                "-device", f"usb-redir,chardev=usbredirchardev{index},id=usbredirdev{index}"]  # fmt: skip
    if name := options.get("mapping"):
        host = mapping.usb_host(here, name)
    if found := re.fullmatch(r"(?:0x)?([0-9A-Fa-f]{4}):(?:0x)?([0-9A-Fa-f]{4})", host):
        return ["-device", f"usb-host,vendorid=0x{found[1]},productid=0x{found[2]},id=usb{index}"]
    found = re.fullmatch(r"(\d+)-(.+)", host)
    if not found:
        replies.die("no usb id or path given")
    return ["-device", f"usb-host,hostbus={found[1]},hostport={found[2]},id=usb{index}"]


def port_words(here: node.Node, current: conf.Conf) -> list[str]:
    words: list[str] = []
    for index in range(4):
        path = current.text(f"serial{index}")
        if path == "socket":
            words += ["-chardev", f"socket,id=serial{index},path=/var/run/qemu-server/serial{index},server=on,wait=off"]
        elif path:
            if not here.place.path(path).exists():
                replies.die("no such serial device")
            words += ["-chardev", f"serial,id=serial{index},path={path}"]
    for index in range(3):
        path = current.text(f"parallel{index}")
        if path and not here.place.path(path).exists():
            replies.die("no such parallel device")
    return words


def drive_words(here: node.Node, current: conf.Conf) -> list[str]:
    words: list[str] = []
    for name in drives.ORDER:
        drive = drives.parse(name, current.text(name)) if name in current.main else None
        if not drive or drive.file in ("none", "cdrom"):
            continue
        path = drive.file
        if drive.storage:
            volume = storage.parse(here, drive.file)
            storage.need_size(here, volume)
            path = storage.shown_path(volume)
        media = ",media=cdrom" if drive.cdrom else ""
        words += ["-drive", f"file={path},if=none,id=drive-{name}{media}"]
    return words


def net_words(vmid: int, current: conf.Conf) -> list[str]:
    words: list[str] = []
    for index in range(32):
        value = current.text(f"net{index}").strip()
        parts = formats.parse_property_string(devices.NET, value) if value else {}
        if parts:
            model = "virtio-net-pci" if parts["model"] == "virtio" else parts["model"]
            words += ["-netdev", f"type=tap,id=net{index},ifname=tap{vmid}i{index},br={parts.get('bridge', '')}",
                      "-device", f"{model},mac={parts.get('macaddr', '')},netdev=net{index},id=net{index}"]  # fmt: skip
    return words


def show(here: node.Node, vmid: int, current: conf.Conf) -> str:
    """The line of `qm showcmd`."""
    return "/usr/bin/kvm " + shlex.join(["-id", str(vmid), *build(here, vmid, current, [])])
