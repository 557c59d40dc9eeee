"""A change booted once on a real kernel before it is made: one that cannot boot comes back by itself and is never made."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

import pytest

from bed import images, recipe, subject

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(
        not all(map(shutil.which, ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs", "grub-mkimage"))),
        reason="`make e2e` installs what is missing",
    ),
]

WANTED = {
    "kernel_cmdline": ["intel_iommu=on", "iommu=pt"],
    "modules": ["vfio_pci"],
    "vfio_ids": [recipe.DISPLAY],
    "blacklist": ["bochs"],
}
BAD = "init=/bin/false"
"""The kernel mounts its root, starts this, and panics."""


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Iterator[subject.Subject]:
    with images.grub(tmp_path / "machine") as node, subject.serve(node, tmp_path / "transom") as one:
        node.ssh(NO_GUESTS)
        yield one


NO_GUESTS = "for name in qm pct; do printf '#!/bin/sh\\n' >/usr/local/bin/$name; chmod 755 /usr/local/bin/$name; done"
"""Debian has no Proxmox VE: nothing runs."""


def declared(host: subject.Subject, how: str, *tokens: str) -> str:
    path = host.declare(**{**WANTED, "kernel_cmdline": [*WANTED["kernel_cmdline"], *tokens]})
    path.write_text(path.read_text().replace("host: {", f'host: {{"trial": "{how}", ', 1))
    return str(path)


def test_a_command_line_that_cannot_boot_is_tried_and_never_made(host: subject.Subject) -> None:
    before, boot, line = host.files(), host.node.up(), host.node.ssh("cat /proc/cmdline")

    host.transom("apply", "-f", declared(host, "auto", BAD), "--yes", code=1)

    (run,) = host.json("run", "ls")
    assert "it did not come up, and went back by itself" in host.transom("run", "show", run["id"])
    assert host.node.up() != boot
    assert host.node.ssh("cat /proc/cmdline") == line
    assert host.driver() == "bochs-drm"
    assert host.files() == before
