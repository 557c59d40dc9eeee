"""What follows from the wanted host items without being written in a document."""

from __future__ import annotations

from collections.abc import Mapping

from transom.host import module_names
from transom.spec import wish

DISPLAY_DRIVERS = frozenset(
    {
        "amdgpu", "ast", "bochs", "bochs_drm", "cirrus", "gma500_gfx", "i915", "mgag200", "nouveau", "nvidia",
        "nvidia_drm", "nvidiafb", "qxl", "radeon", "simpledrm", "virtio_gpu", "vmwgfx", "xe",
    }
)  # fmt: skip
SOUND_DRIVERS = frozenset({"snd_hda_intel"})
"""Of a graphics card's sound function. The codecs (``snd_hda_codec_hdmi``) drive no PCI device: nothing is to come before them."""


def derive(host: Mapping[str, tuple[wish.Want, ...]]) -> dict[str, tuple[wish.Want, ...]]:
    """``host`` (setting's key → wants) with softdeps, vfio_pci where a device waits for it, and the command line by loader.

    A display or sound driver that is blacklisted but loaded all the same, by name or by dependency, must find vfio-pci there
    first. Only where devices are to be bound to vfio-pci; wants given for ``softdep`` stay.
    """
    if host.get("kernel_cmdline"):
        host = {**host, "etc_kernel_cmdline": host["kernel_cmdline"]}
    if host.get("driver_override"):
        late = wish.Want(
            "vfio_pci", host["driver_override"][0].document, "the device that is kept for it waits for its driver"
        )
        loaded = host.get("modules", ())
        have = {module_names.normal(want.value) for want in loaded if not want.kernel}
        host = host if late.value in have else {**host, "modules": (*loaded, late)}
    given = host.get("softdep", ())
    if not host.get("vfio_ids") and not host.get("driver_override"):
        return dict(host)
    have = {module_names.normal(want.value) for want in given}
    derived = tuple(
        wish.Want(name, want.document, "vfio-pci takes the device before this driver can", want.kernel, want.qemu)
        for want in host.get("blacklist", ())
        if (name := module_names.normal(want.value)) in DISPLAY_DRIVERS | SOUND_DRIVERS and name not in have
    )
    return {**host, "softdep": given + derived} if given or derived else dict(host)
