"""Writes a world to the files of a root, once; what is there already is left alone."""

from __future__ import annotations

import os
from pathlib import Path

from transom.lab.pve import access, files, sections, tfa, world


def install(state: world.World, root: Path, node: str) -> files.NodeFiles:
    """Lays out the root of `node`; safe to call again."""
    place = files.NodeFiles(root, node)
    place.lay_out()
    first = not (place.state / "world.json").exists()
    files.write(place.state / "world.json", state.dump().encode())
    files.write(place.state / "node", node.encode())
    if first:
        seed(state, place)
    files.refresh(place)
    return place


def open_root(root: Path) -> tuple[world.World, files.NodeFiles]:
    """The world and files of a root that was installed before, for the command-line tools."""
    state = files.below(root, "var/lib/transom-lab")
    loaded = world.load((state / "world.json").read_text())
    return loaded, files.NodeFiles(root, (state / "node").read_text().strip())


def seed(state: world.World, place: files.NodeFiles) -> None:
    texts = {
        "user.cfg": access.render_first(state),
        "priv/token.cfg": "".join(f"{token.tokenid} {token.secret}\n" for token in state.tokens),
        "priv/shadow.cfg": "".join(f"{user.userid} {access.hashed(user.password)}\n" for user in state.users
                                   if user.password),
        "priv/tfa.cfg": tfa.render({user.userid: user.totp for user in state.users if user.totp}),
        "priv/authkey.key": os.urandom(32).hex(),
        "mapping/pci.cfg": sections.render({name: {"map": list(rows)} for name, rows in state.pci_mappings.items()}),
        "mapping/usb.cfg": sections.render({name: {"map": list(rows)} for name, rows in state.usb_mappings.items()}),
        "storage.cfg": sections.render({f"{one.type}: {one.id}": storage_lines(one) for one in state.storages}),
    }  # fmt: skip
    for name, text in texts.items():
        if not place.path(f"etc/pve/{name}").exists():
            files.write(place.path(f"etc/pve/{name}"), text.encode())
    if place.node == state.nodes[0]:
        for vmid, text in state.vms.items():
            if not place.config(int(vmid)).exists():
                files.write(place.config(int(vmid)), text.encode())
    for name in state.snippets:
        script = place.path(f"var/lib/vz/snippets/{name}")
        files.write(script, b"#!/bin/sh\nexit 0\n")
        script.chmod(0o755)
    for port in state.ports:
        path = place.path(port)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if state.pci or state.usb:
        write_sysfs(state, place.root)
    place.path("usr/share/kvm").mkdir(parents=True, exist_ok=True)


def storage_lines(storage: world.Storage) -> dict[str, list[str]]:
    lines = {"content": [storage.content], "size": [str(storage.size)]}
    if storage.path:
        lines["path"] = [storage.path]
    if storage.shared:
        lines["shared"] = ["1"]
    return lines


def write_sysfs(state: world.World, root: Path) -> None:
    """The PCI and USB devices as the kernel shows them, so that one reader serves every root."""
    if not (root / "sys/class/iommu").exists():
        (root / "sys/class/iommu/dmar0").mkdir(parents=True)
    for device in state.pci:
        folder = root / "sys/bus/pci/devices" / device.address
        if folder.exists():
            continue
        folder.mkdir(parents=True)
        vendor, number = device.id.split(":")
        subvendor, _, subnumber = device.subsystem.partition(":")
        values = {"vendor": vendor, "device": number, "class": device.pci_class,
                  "subsystem_vendor": subvendor or "0000", "subsystem_device": subnumber or "0000"}  # fmt: skip
        for name, value in values.items():
            (folder / name).write_text(f"0x{value}\n")
        if device.group >= 0:
            (folder / "iommu_group").symlink_to(f"../../../../kernel/iommu_groups/{device.group}")
        if device.driver:
            (folder / "driver").symlink_to(f"../../../../bus/pci/drivers/{device.driver}")
    for index, usb in enumerate(state.usb, 1):
        folder = root / "sys/bus/usb/devices" / usb.port
        if not folder.exists():
            folder.mkdir(parents=True)
            for name, value in zip(("idVendor", "idProduct"), usb.id.split(":"), strict=True):
                (folder / name).write_text(f"{value}\n")
            (folder / "devnum").write_text(f"{index}\n")
            (folder / "busnum").write_text(f"{usb.port.split('-')[0].removeprefix('usb')}\n")
