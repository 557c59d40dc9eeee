"""What follows from the wanted host items without being written in a document."""

from __future__ import annotations

from collections.abc import Mapping

from transom.host import module_names
from transom.spec import wish

DISPLAY_DRIVERS = frozenset(
    {
        "amdgpu", "ast", "bochs", "bochs_drm", "cirrus", "gma500_gfx", "i915", "mgag200", "nouveau", "nvidia",
        "nvidia_drm", "qxl", "radeon", "simpledrm", "virtio_gpu", "vmwgfx", "xe",
    }
)  # fmt: skip


def derive(host: Mapping[str, tuple[wish.Want, ...]]) -> dict[str, tuple[wish.Want, ...]]:
    """``host`` (setting's key → wants) with the softdeps added, and the command line for either boot loader.

    A display driver that is blacklisted but loaded all the same, by name or by dependency, must find vfio-pci there first. Only
    where devices are to be bound to vfio-pci; wants given for ``softdep`` stay.
    """
    if host.get("kernel_cmdline"):
        host = {**host, "etc_kernel_cmdline": host["kernel_cmdline"]}
    given = host.get("softdep", ())
    if not host.get("vfio_ids"):
        return dict(host)
    have = {module_names.normal(want.value) for want in given}
    derived = tuple(
        wish.Want(
            name, want.document, "vfio-pci takes the device before its display driver can", want.kernel, want.qemu
        )
        for want in host.get("blacklist", ())
        if (name := module_names.normal(want.value)) in DISPLAY_DRIVERS and name not in have
    )
    return {**host, "softdep": given + derived} if given or derived else dict(host)
