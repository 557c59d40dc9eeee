"""One node as its handlers see it: the world, the files, the rights, the tasks and the hardware, side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from transom.lab.pve import access, conf, files, hardware, install, replies, tasks, world


@dataclass(frozen=True)
class Node:
    world: world.World
    place: files.NodeFiles
    tasks: tasks.Tasks
    roots: Mapping[str, Path] = field(default_factory=dict)  # of every node that this one can reach

    @property
    def name(self) -> str:
        return self.place.node

    @property
    def access(self) -> access.Access:
        return access.Access(self.place)

    @property
    def hardware(self) -> hardware.Hardware:
        return hardware.Hardware(self.place.root)

    def load(self, vmid: int) -> conf.Conf:
        raw = files.read(self.place.config(vmid))
        if raw is None:
            replies.die(f"Configuration file 'nodes/{self.name}/qemu-server/{vmid}.conf' does not exist")
        return conf.parse(raw)

    def save(self, vmid: int, changed: conf.Conf) -> conf.Conf:
        """Writes the file and returns it as read back, which is not always what was meant."""
        raw = conf.render(changed)
        files.write(self.place.config(vmid), raw)
        files.refresh(self.place)
        return conf.parse(raw)

    def digest(self, vmid: int) -> str:
        return hashlib.sha1(files.read(self.place.config(vmid)) or b"").hexdigest()

    def where(self, vmid: int) -> str:
        """The node that has this VM, '' when none has."""
        for name, root in self.everywhere().items():
            if files.NodeFiles(root, name).config(vmid).exists():
                return name
        return ""

    def everywhere(self) -> dict[str, Path]:
        return {**dict(self.roots), self.name: self.place.root}

    def sibling(self, name: str) -> Node | None:
        """Another node of the cluster, when its root is within reach."""
        if name == self.name or name == "localhost":
            return self
        root = self.roots.get(name)
        if root is None:
            return None
        place = files.NodeFiles(root, name)
        return Node(self.world, place, tasks.Tasks(place, self.tasks.background, self.tasks.echo), self.roots)

    def write_cluster_file(self, name: str, text: str) -> None:
        """A file below etc/pve, on every node within reach: pmxcfs replicates it."""
        for root in self.everywhere().values():
            files.write(files.below(root, f"etc/pve/{name}"), text.encode())


def open_node(root: Path, *, background: bool = True, echo: Callable[[str], None] | None = None) -> Node:
    """The node of a root that was installed before."""
    state, place = install.open_root(root)
    return Node(state, place, tasks.Tasks(place, background, echo), {place.node: root})
