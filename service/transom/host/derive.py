"""What follows from the wanted host items without being written in a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from transom import model
from transom.host import module_names
from transom.host.settings import vfio_ids
from transom.spec import wish

Host = Mapping[str, tuple[wish.Want, ...]]
Pci = tuple[model.PciDevice, ...] | model.Unknown

DISPLAY_DRIVERS = frozenset(
    {
        "amdgpu", "ast", "bochs", "bochs_drm", "cirrus", "gma500_gfx", "i915", "mgag200", "nouveau", "nvidia",
        "nvidia_drm", "nvidiafb", "qxl", "radeon", "simpledrm", "virtio_gpu", "vmwgfx", "xe",
    }
)  # fmt: skip
SOUND_DRIVERS = frozenset({"snd_hda_intel"})
"""Of a graphics card's sound function. The codecs (``snd_hda_codec_hdmi``) drive no PCI device: nothing is to come before them."""
_WHY = "vfio-pci takes the device before this driver can"


def derive(host: Host, pci: Pci = (), kept: Mapping[str, str] | None = None) -> dict[str, tuple[wish.Want, ...]]:
    """``host`` (setting's key → wants) with the command line by loader and, where devices are to be bound to vfio-pci, its module
    and the softdeps by which it comes before other drivers; wants given for ``softdep`` stay.

    ``kept``: driver → document of the softdeps that are ours already.
    """
    full = dict(host)
    if host.get("kernel_cmdline"):
        full["etc_kernel_cmdline"] = host["kernel_cmdline"]
    waiting = (*host.get("driver_override", ()), *host.get("vfio_ids", ()))
    if waiting:
        late = wish.Want("vfio_pci", waiting[0].document, "devices wait for it")
        full["modules"] = _with(host.get("modules", ()), [late])
        full["softdep"] = _with(host.get("softdep", ()), [*_blacklisted(host), *_first(host, pci, kept or {})])
    return {key: wants for key, wants in full.items() if wants or key in host}


def _with(given: tuple[wish.Want, ...], more: list[wish.Want]) -> tuple[wish.Want, ...]:
    """Each item once, but for those of some kernels alone."""
    for want in more:
        have = {module_names.normal(one.value) for one in given if one.kernel in ("", want.kernel)}
        given = given if want.value in have else (*given, want)
    return given


def _blacklisted(host: Host) -> Iterator[wish.Want]:
    """A display or sound driver that is loaded all the same, by name or by dependency, must find vfio-pci there first."""
    for want in host.get("blacklist", ()):
        if (name := module_names.normal(want.value)) in DISPLAY_DRIVERS | SOUND_DRIVERS:
            yield wish.Want(name, want.document, _WHY, want.kernel, want.qemu)


def _first(host: Host, pci: Pci, kept: Mapping[str, str]) -> Iterator[wish.Want]:
    """The drivers that have the devices now: nothing else has vfio-pci come before one that may load. Once it has a device, who
    would take that does not show any more: so what is ours stays while it may be for such a device."""
    taken: list[model.PciDevice | None] = []
    for want in host.get("vfio_ids", ()):
        fits = () if isinstance(pci, model.Unknown) else pci
        found = [device for device in fits if vfio_ids.matches(vfio_ids.normal(want.value), device)]
        for device in found:
            if device.driver not in ("", "vfio-pci") and isinstance(device.driver, str):
                yield wish.Want(device.driver_module, want.document, _WHY, want.kernel, want.qemu)
            else:
                taken.append(device)
        taken += [] if found else [None]
    for driver, document in kept.items():
        if any(device is None or _may_have(driver, device) for device in taken):
            yield wish.Want(driver, document, _WHY)


def _may_have(driver: str, device: model.PciDevice) -> bool:
    """By the kind of device, where the driver is of one."""
    kind = "03" if driver in DISPLAY_DRIVERS else "04" if driver in SOUND_DRIVERS else ""
    return device.class_code.startswith(kind)
