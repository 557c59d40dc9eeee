"""VM configurations as people and PVE write them: every kind of key of docs/vm-fields.md, odd but valid spellings, sections."""

from __future__ import annotations

from hypothesis import strategies as st

# Keys with values that PVE takes; several spellings of the same, what Transom knows, and what it does not.
VALUES: dict[str, list[str]] = {
    "acpi": ["1", "0"],
    "affinity": ["0-3", "0,5,8-11"],
    "agent": ["1", "0", "enabled=1", "enabled=1,fstrim_cloned_disks=1", "1,type=isa", "enabled=0,type=virtio"],
    "allow-ksm": ["0", "1"],
    "arch": ["x86_64"],
    "args": ["-cpu host,-hypervisor", '-set "device.hostpci0.x=1 2"', "-fw_cfg name=opt/igd-opregion,file='/tmp/a b'"],
    "audio0": ["device=ich9-intel-hda,driver=none", "driver=spice,device=AC97", "device=ich9-intel-hda"],
    "autostart": ["1", "0"],
    "balloon": ["0", "512", "02048"],
    "bios": ["seabios", "ovmf"],
    "boot": ["order=scsi0;net0", "order=net0", "cdn", "c", "order=scsi0;ide2;net0", "legacy=cdn"],
    "bootdisk": ["scsi0", "virtio0"],
    "cicustom": ["user=local:snippets/u.yaml"],
    "cipassword": ["$5$abc$def"],
    "citype": ["nocloud"],
    "ciupgrade": ["0", "1"],
    "ciuser": ["debian", "Jürgen"],
    "cores": ["1", "6", "04"],
    "cpu": ["host", "cputype=host", "host,hidden=1", "x86-64-v2-AES,flags=+aes;-pcid", "hidden=0,cputype=kvm64"],
    "cpulimit": ["0", "2.50", "4"],
    "cpuunits": ["1024", "100"],
    "efidisk0": ["local-lvm:vm-105-disk-9,efitype=4m,pre-enrolled-keys=1,size=4M", "local-lvm:vm-105-disk-9,size=528K"],
    "freeze": ["1"],
    "hookscript": ["local:snippets/hook.pl"],
    "hostpci0": [
        "00:02.0",
        "0000:00:02.0,legacy-igd=1",
        "host=0000:00:02.0,rombar=0,x-vga=on",
        "0000:00:02.0,romfile=hand.rom",
        "romfile=vbios.bin,host=00:02.0,driver=vfio",
        "mapping=igpu,pcie=1",
        "00:02.0,mdev=i915-GVTg_V5_4",
        "0000:00:02",
    ],
    "hostpci1": ["0000:00:1f.3", "host=00:1f.3,pcie=0"],
    "hotplug": ["network,disk,usb", "0", "1", "disk;network"],
    "hugepages": ["2", "any"],
    "ide2": ["none,media=cdrom", "local:iso/x.iso,media=cdrom,size=4G", "media=cdrom,file=local:iso/y.iso"],
    "ipconfig0": ["ip=dhcp", "gw=192.0.2.1,ip=192.0.2.9/24"],
    "ivshmem": ["size=32,name=foo", "size=32"],
    "keephugepages": ["1"],
    "keyboard": ["de", "en-us"],
    "kvm": ["1", "0"],
    "localtime": ["1"],
    "machine": ["q35", "pc-i440fx-7.1", "type=pc-q35-8.1,viommu=intel", "pc-q35-9.0+pve1"],
    "memory": ["512", "8192", "current=4096", "02048"],
    "migrate_downtime": ["0.1", "0.10"],
    "migrate_speed": ["0", "100"],
    "name": ["Win11-iGD", "router", "a.b.example", "x"],
    "nameserver": ["192.0.2.1 192.0.2.2"],
    "net0": [
        "virtio=F6:ED:C6:88:12:F6,bridge=vmbr0,firewall=1",
        "model=virtio,macaddr=f6:ed:c6:88:12:f6,bridge=vmbr0",
        "e1000=BC:24:11:00:00:01,bridge=vmbr0,tag=12,trunks=3;4",
        "virtio=F6:ED:C6:88:12:F6,bridge=vmbr0,rate=1.50,queues=4,link_down=1",
        "virtio,bridge=vmbr0",
    ],
    "net1": ["vmxnet3=BC:24:11:00:00:02,bridge=vmbr0,mtu=1"],
    "numa": ["0", "1"],
    "numa0": ["cpus=0-1,memory=1024,hostnodes=0,policy=bind", "memory=512,cpus=0"],
    "onboot": ["1", "0"],
    "ostype": ["win11", "l26", "other"],
    "parallel0": ["/dev/parport0"],
    "protection": ["1", "0"],
    "reboot": ["0", "1"],
    "rng0": ["source=/dev/urandom", "/dev/hwrng,max_bytes=1024,period=1000"],
    "scsi0": [
        "local-lvm:vm-105-disk-0,size=32G",
        "local-lvm:vm-105-disk-0,iothread=1,size=32G,ssd=1,discard=on",
        "file=local-lvm:vm-105-disk-0,size=1T,cache=writeback",
        "local-lvm:vm-105-disk-0,backup=0,size=33554436K,serial=abc",
        "local-lvm:vm-105-disk-0",
        "/dev/disk/by-id/ata-X,size=500107608K",
        "local-lvm:base-9000-disk-0/vm-105-disk-0,discard=ignore,size=10240M",
    ],
    "scsihw": ["virtio-scsi-single", "lsi"],
    "searchdomain": ["example.org"],
    "serial0": ["socket", "/dev/ttyS0"],
    "shares": ["1000", "2000"],
    "smbios1": [
        "uuid=1e5a7c1e-0b7d-4b3e-9a4f-2f6f0c1d2e3f",
        "base64=1,manufacturer=QWNtZQ==,uuid=1E5A7C1E-0b7d-4b3e-9a4f-2f6f0c1d2e3f",
        "product=x",
    ],
    "sockets": ["1", "2"],
    "spice_enhancements": ["foldersharing=1", "videostreaming=all,foldersharing=0"],
    "sshkeys": ["ssh-ed25519%20AAAA%20me"],
    "startdate": ["now", "2006-06-17T16:01:21"],
    "startup": ["order=1,up=30", "2"],
    "tablet": ["0", "1"],
    "tags": ["mine", "b;a", "a,b", "Mixed;case", "mine;transom"],
    "tdf": ["1"],
    "template": ["0"],
    "tpmstate0": ["local-lvm:vm-105-disk-8,size=4M,version=v2.0"],
    "usb0": ["host=046d:c07e", "046d:c07e,usb3=1", "host=1-1.4", "spice", "mapping=key,usb3=0", "host=0x046D:0xc07e"],
    "usb1": ["host=04d9:0295", "host=2-3"],
    "vcpus": ["2"],
    "vga": ["none", "type=none", "std", "qxl,memory=32", "memory=16,type=virtio", "serial0"],
    "virtio0": ["local:105/vm-105-disk-1.qcow2,size=8G,format=qcow2"],
    "virtiofs0": ["dirid=share", "share,cache=always,direct-io=1"],
    "vmgenid": ["0f5e6a52-0000-4000-8000-000000000001", "0"],
    "vmstatestorage": ["local-lvm"],
    "watchdog": ["i6300esb,action=reset", "action=pause,model=ib700"],
    "meta": ["creation-qemu=7.1.0,ctime=1666777888"],
    "unused0": ["local-lvm:vm-105-disk-5"],
    "lockstep": ["on"],
    "foo_bar": ["a: b # c", "'quoted'", '"x', "- y", "0x10", "null", "~", "yes", "1e3", "{a: b}", "[1]", "&a *b", "!t"],
    "newthing3": ["type=x,y=1", "ä ö ü", "%25", "back\\slash", "tab\there", "é\u2028x", "\U0001f600"],
}
DESCRIPTION = ["", "#notes\n", "#two\n#lines%3A\n", "#caf%C3%A9 %23 x\n", "#mine\n#\n#transom%3A other-vm\n"]
JUNK = ["", "this line is none\n", "a=b\n"]


@st.composite
def keys(draw: st.DrawFn, most: int = 20) -> dict[str, str]:
    chosen = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=most, unique=True))
    return {key: draw(st.sampled_from(VALUES[key])) for key in chosen}


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A whole file, sections included."""
    main = draw(st.sampled_from(DESCRIPTION)) + _lines(draw(keys())) + draw(st.sampled_from(JUNK))
    if draw(st.booleans()):
        pending = draw(keys(3))
        gone = draw(st.lists(st.sampled_from(["cores", "net0", "args", "!vga"]), max_size=2, unique=True))
        main += "\n[PENDING]\n" + (f"delete: {','.join(gone)}\n" if gone else "") + _lines(pending)
    if draw(st.booleans()):
        main += "\n[before]\n#why\n" + _lines(draw(keys(4))) + "snaptime: 1666777888\n"
    return main


def _lines(values: dict[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in values.items())
