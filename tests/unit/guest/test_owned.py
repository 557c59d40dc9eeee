"""Which disks go with a VM."""

from __future__ import annotations

from transom.guest import conf, owned

TEXT = """boot: order=scsi0
efidisk0: local-lvm:vm-112-disk-0,efitype=4m,size=4M
ide0: local-lvm:vm-112-cloudinit,media=cdrom
ide2: local:iso/win.iso,media=cdrom,size=5G
scsi0: tank:base-100-disk-0/vm-112-disk-1,size=64G,ssd=1
scsi1: local:7/vm-7-disk-0.qcow2,size=1G
scsi2: /dev/disk/by-id/ata-vm-112-x,size=1G
unused0: local:112/vm-112-disk-2.qcow2

[before]
scsi0: tank:base-100-disk-0/vm-112-disk-1,size=64G,ssd=1
vmstate: local-lvm:vm-112-state-before
"""


def test_its_own_ones_once_each():
    assert owned.volumes(conf.parse(TEXT), 112) == (
        "efidisk0 local-lvm:vm-112-disk-0 (4M)",
        "ide0 local-lvm:vm-112-cloudinit",
        "scsi0 tank:base-100-disk-0/vm-112-disk-1 (64G)",
        "unused0 local:112/vm-112-disk-2.qcow2",
        "vmstate local-lvm:vm-112-state-before",
    )
    assert owned.volumes(conf.parse(TEXT), 100) == ()
