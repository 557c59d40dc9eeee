"""Parameters of the modules that passthrough depends on, as they are in force."""

from __future__ import annotations

import posixpath

from transom.host import attributes, probe

_MODULES = (
    "vfio vfio_pci vfio_pci_core vfio_iommu_type1 kvm kvm_intel kvm_amd i915 xe amdgpu nouveau nvidia snd_hda_intel"
)
COMMAND = f"""
for name in {_MODULES}; do
  [ -d "/sys/module/$name/parameters" ] && set -- "$@" "/sys/module/$name/parameters"
done
[ "$#" -eq 0 ] || grep -rsZ . -- "$@"
exit 0
"""


def parse(body: bytes) -> dict[str, str]:
    """``vfio_pci.disable_vga`` → ``N``."""
    found: dict[str, str] = {}
    for path, value in attributes.parse(body).items():
        folder, name = posixpath.split(path)
        found[f"{posixpath.basename(posixpath.dirname(folder))}.{name}"] = value
    return found


PROBE = probe.Probe("options", COMMAND, parse)
