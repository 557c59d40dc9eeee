"""A machine under Transom's care: the lab's API beside it (Debian has none), documents for it, the command as a user types it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from bed import machine, recipe
from transom.lab.pve import server
from transom.lab.pve import world as api_world

DOCUMENTS = """
apiVersion: transom/v1
kind: Cluster
metadata: {{name: bed}}
spec:
  api:
    endpoints: ["{url}"]
    fingerprint: {fingerprint}
    token: {{id: "transom@pve!transom", secret: {{file: token}}}}
  ssh: {{key: {{file: "{key}"}}}}
---
apiVersion: transom/v1
kind: Node
metadata: {{name: {name}}}
spec:
  cluster: bed
  ssh: {{address: 127.0.0.1, port: {port}, host_key: {host_key}}}
  devices: {{display: {{id: "{display}"}}}}
  host: {host}
"""

FILES = r"""
cd / || exit
tops='etc boot'
[ ! -d boot/efi/loader ] || tops="$tops boot/efi"
for uuid in $(cat etc/kernel/proxmox-boot-uuids 2>/dev/null); do
  tops="$tops mnt" && trap 'umount /mnt' EXIT && mount -o ro "/dev/disk/by-uuid/$uuid" /mnt || exit
done
find $tops usr/share/kvm -xdev ! -type d ! -path 'boot/grub/i386-pc/*' ! -name random-seed -printf '%p|%m %U:%G %l\n' 2>/dev/null
find $tops -xdev -type f ! -name 'initrd.img-*' ! -name random-seed -exec sha256sum {} + | sed -E 's/^([0-9a-f]+) +(.*)/\2|\1/'
for image in $(find $tops -xdev -name 'initrd.img-*'); do
  # an ESP has a copy, and to unpack it takes time
  bytes=$(sha256sum <"$image")
  [ "$bytes" != "${unpacked-}" ] || { echo "$image|copy of the one before"; continue; }
  unpacked=$bytes
  into=$(mktemp -d) && unmkinitramfs "$image" "$into" && cd "$into" &&
    find . -type f -exec sha256sum {} + | sed -E "s%^([0-9a-f]+) +\\./(.*)%$image:\\2|\\1%"
  cd / && rm -rf "$into"
done
"""

GIVEN_AWAY = {
    "kernel_cmdline": ["intel_iommu=on", "iommu=pt", "initcall_blacklist=sysfb_init"],
    "modules": ["vfio", "vfio_iommu_type1", "vfio_pci"],
    "vfio_ids": [recipe.DISPLAY],
    "blacklist": ["bochs"],
}
"""Host settings that give the display to VMs."""

EVERYTHING = {**GIVEN_AWAY, "module_options": ["vfio_pci.disable_vga=1"], "sysctl": ["vm.swappiness=10"]}
"""With the other settings that a Node document has, too, but for what needs twins."""

LIMIT = 1800
"""Seconds for one command that reboots the machine; idle and on two cores it is 105 to 170."""


class Subject:
    """``node`` is the machine; ``folder`` holds the documents and Transom's state."""

    def __init__(self, node: machine.Machine, folder: pathlib.Path, api: server.Server) -> None:
        self.node, self.folder, self.api = node, folder, api
        (folder / "token").write_text(api_world.secret(f"transom@{recipe.NAME}"))
        (folder / "token").chmod(0o600)

    @property
    def env(self) -> dict[str, str]:
        # on a busy machine an emulated one is slow to start a command
        return {**os.environ, "TRANSOM_STATE": str(self.folder / "state"), "TRANSOM_SSH_TIMEOUT": "240"}

    def declare(self, **host: Sequence[str]) -> pathlib.Path:
        """Documents that want these host settings of the machine."""
        path = self.folder / "documents.yaml"
        path.write_text(
            DOCUMENTS.format(
                url=self.api.url,
                fingerprint=self.api.fingerprint,
                key=self.node.key.login,
                name=recipe.NAME,
                port=self.node.port,
                host_key=self.node.key.host,
                display=recipe.DISPLAY,
                host=json.dumps({name: list(items) for name, items in host.items()}),
            )
        )
        return path

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "transom", *words]

    def transom(self, *words: str, code: int = 0) -> str:
        """What the command prints; AssertionError with everything when it ends otherwise than with ``code``."""
        done = subprocess.run(self.command(*words), env=self.env, capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == code, (
            f"{words} ended with {done.returncode}\n{done.stdout}{done.stderr}\n{self.node.screen()}"
        )
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.transom(*words, "--json"))

    def files(self) -> dict[str, str]:
        """Path → mode, owner, link target and SHA-256 of everything that configures the machine or boots it.

        An initramfs is told by the files in it: a new image of the same files has other times, and so other bytes. The random seed
        that systemd-boot changes at each boot is left out.
        """
        found: dict[str, str] = {}
        for line in self.node.ssh(FILES, within=300).splitlines():
            name, value = line.split("|", 1)
            found[name] = f"{found.get(name, '')} {value}".strip()
        return found

    def driver(self, address: str = "0000:00:02.0") -> str:
        """The driver that is bound to the device; empty for none."""
        command = f"basename $(readlink /sys/bus/pci/devices/{address}/driver) 2>/dev/null || true"
        return self.node.ssh(command).strip()


@contextlib.contextmanager
def serve(node: machine.Machine, folder: pathlib.Path) -> Iterator[Subject]:
    """The machine with an API of its own beside it, on a folder without VMs."""
    folder.mkdir(parents=True, exist_ok=True)
    api = server.serve(
        api_world.lab_world(node=recipe.NAME, cluster=(recipe.NAME,)), folder / "api", 0, node=recipe.NAME
    )
    try:
        yield Subject(node, folder, api)
    finally:
        api.close()
