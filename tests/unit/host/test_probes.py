"""The parsers of single probes, by what each must not get wrong."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import subprocess
import tarfile

import pytest

from transom import model
from transom.host import grub_cfg, modprobe, packed
from transom.host.probes import boot, esp, files, guests, hardware, iomem, keeping, modules, packages, pci, roms, usb


def pack(contents: dict[str, bytes], *, program=hashlib.sha256, lie: str = "", only: tuple[str, ...] = ()) -> bytes:
    """What ``collect`` prints. ``lie``: a path whose hash is of other bytes. ``only``: paths looked at, not read."""
    stats = [f"81a4 0 0 1700000000.123456789 {path}".encode() + b"\0" for path in (*contents, *only)]
    hashes = [
        f"{program(b'other' if path == lie else body).hexdigest()}  {path}".encode() + b"\0"
        for path, body in contents.items()
    ]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, body in contents.items():
            member = tarfile.TarInfo(path)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return b"".join(stats) + b"\0" + b"".join(hashes) + b"\0" + (archive.getvalue() if contents else b"")


def test_files_come_with_all_that_is_needed_to_put_them_back():
    long = "/etc/modprobe.d/" + "x" * 120 + ".conf"
    contents = {"/etc/default/grub": b"GRUB_TIMEOUT=5\n", "/etc/modules": b"", long: "umlaut ä\0=== \n".encode()}
    found = files.parse(pack(contents, only=("/boot/initrd.img-6.8",))).files
    one = found["/etc/default/grub"]
    assert (one.text, one.mode, one.mtime_ns) == ("GRUB_TIMEOUT=5\n", 0o644, 1700000000123456789)
    assert one.sha256 == hashlib.sha256(b"GRUB_TIMEOUT=5\n").hexdigest()
    assert found[long].text == "umlaut ä\0=== \n"
    assert found["/etc/modules"].text == ""
    assert found["/boot/initrd.img-6.8"].text == model.Unknown("not read: binary")


def test_a_file_that_changed_while_it_was_read_is_unknown():
    assert files.parse(pack({"/etc/modules": b"x"}, lie="/etc/modules")).files["/etc/modules"].text == model.Unknown(
        "changed while it was read"
    )


def test_bytes_that_are_no_text_are_unknown():
    assert files.parse(pack({"/etc/modules": b"\xff"})).files["/etc/modules"].text == model.Unknown("not UTF-8")


def test_a_file_that_could_not_be_read_is_unknown_by_itself():
    body = pack({"/etc/modules": b"x"}).replace(b"\0\0", b"\00081a4 0 0 1.000000000 /etc/default/grub\0\0", 1)
    found = files.parse(body).files
    assert found["/etc/default/grub"].text == model.Unknown("it could not be read")
    assert found["/etc/modules"].text == "x"


def test_a_link_to_dev_null_is_a_file_without_content_that_hides_its_name(tmp_path):
    """kmod, sysctl.d(5) and modules-load.d(5) take it so; a link to nothing, or to another device, is no file."""
    for folder in ("etc/modprobe.d", "lib/modprobe.d"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "lib/modprobe.d/gfx.conf").write_text("blacklist nouveau\n")
    for name, to in (("gfx.conf", "/dev/null"), ("dangling.conf", "/nothing"), ("zero.conf", "/dev/zero")):
        (tmp_path / "etc/modprobe.d" / name).symlink_to(to)
    command = re.sub(r"(?<![\w/.*$}])/(?=(etc|run|usr|lib|boot|var)/)", f"{tmp_path}/", files.COMMAND)
    body = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout
    found = {path.removeprefix(str(tmp_path)): file for path, file in files.parse(body).files.items()}
    assert {path: file.text for path, file in found.items()} == {
        "/etc/modprobe.d/gfx.conf": "",
        "/lib/modprobe.d/gfx.conf": "blacklist nouveau\n",
    }
    facts = model.Facts("pve1", boot.unknown(""), found, covered=files.READ)
    assert modprobe.all_directives(facts) == ()


def test_no_files_at_all():
    assert files.parse(b"\0\0").files == {}
    assert guests.parse(b"\0\0") == {}


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"junk\0\0\0", b"81a4 0 0 1.000000000 /a\0\0\0not a tar", b"81a4 0 0 1.0 /a\0\0\0"]
)
def test_cut_short_or_nonsense(body):
    with pytest.raises(ValueError):
        packed.parse(body)


def test_guests_have_the_digest_of_pve():
    text = b"cores: 6\n"
    folder = "/etc/pve/nodes/pve1/qemu-server"
    found = guests.parse(
        pack({f"{folder}/112.conf": text, f"{folder}/1x.conf": b"", f"{folder}/9.conf": b""}, program=hashlib.sha1)
    )
    assert found[112] == model.GuestFile(112, "cores: 6\n", hashlib.sha1(text).hexdigest())
    assert sorted(found) == [9, 112]


@pytest.mark.parametrize(
    ("marks", "loader"),
    [
        ("firmware=1\ngrub=1\n", "grub"),
        ("grub=1\nefi=1\nfirmware=1\n", "nothing tells"),
        ("efi=1\nfirmware=1\ncmdline=BOOT_IMAGE=/vmlinuz-6.8 quiet\n", "grub"),
        (
            "efi=1\nfirmware=1\ncmdline=initrd=\\EFI\\proxmox\\x\\initrd.img-x root=ZFS=rpool/ROOT/pve-1\n",
            "systemd-boot",
        ),
        ("cmdline=root=/dev/sda1 initrd=/x\n", "nothing tells"),
        ("info=systemd-boot 252.5-2~deb12u1\n", "systemd-boot"),
        ("info=GRUB 2.12-1\n", "grub"),
        ("info=rEFInd 0.13.2\n", "refind"),
        ("started=Boot0001* proxmox\tHD(2,GPT)/File(\\EFI\\proxmox\\grubx64.efi)\n", "grub"),
        ("started=Boot0001* Linux Boot Manager\tHD(2)/File(\\EFI\\systemd\\systemd-bootx64.efi)\n", "systemd-boot"),
        ("started=Boot0001* proxmox\tHD(2)/File(\\EFI\\proxmox\\shimx64.efi)\n", "nothing tells"),
        ("info=systemd-boot 252\ncmdline=BOOT_IMAGE=/boot/vmlinuz-6.8\n", "disagree"),
        ("", "nothing tells"),
    ],
)
def test_the_boot_loader_is_told_by_signs_that_agree(marks, loader):
    found = boot.parse(marks.encode()).loader
    assert loader in found.unknown if isinstance(found, model.Unknown) else found == loader


def test_esps():
    text = base64.b64encode(b"timeout 3\n").decode()
    body = f"esp 2A13-C6F9 ok\nfile loader/loader.conf 1700000000 {text}\nesp 2A15-0001 could not be mounted and read\n"
    assert esp.parse(body.encode()) == (
        model.Esp("2A13-C6F9", {"loader/loader.conf": "timeout 3\n"}, 1700000000 * 10**9),
        model.Esp("2A15-0001", model.Unknown("could not be mounted and read")),
    )
    assert esp.parse(b"") == ()


@pytest.mark.parametrize("body", [b"junk", b"file x 1 eA==", b"esp a ok\nfile x one eA==", b"esp a ok\nfile x 1 !"])
def test_an_esp_that_is_none(body):
    with pytest.raises(ValueError):
        esp.parse(body)


def test_boot():
    body = b'boot_id=x-y\nkernel=6.8.12-4-pve\ncmdline=ro a="b c" q=1=2\ntime=btime 1700000000\nfirmware=1\ngrub=1\n'
    assert boot.parse(body) == model.Boot(
        boot_id="x-y",
        kernel="6.8.12-4-pve",
        cmdline=("ro", 'a="b c"', "q=1=2"),
        loader="grub",
        efi=False,
        time_ns=1700000000 * 10**9,
        manager=model.Unknown("not judged yet"),
        signs=(model.LoaderSign("/sys/firmware/efi", "is not there, and /boot/grub is", "grub"),),
    )


def test_pci():
    igd, nic = "0000:00:02.0", "0000:03:00.0"
    values = {
        igd: {"vendor": "0x8086", "device": "0x9bc8", "class": "0x030000", "subsystem_vendor": "0x1849"}
        | {"subsystem_device": "0x9bc8", "revision": "0x03", "boot_vga": "1"},
        nic: {"vendor": "0x8086", "device": "0x1539", "class": "0x020000", "subsystem_vendor": "0x0000"}
        | {"subsystem_device": "0x0000"},
    }
    attributes = [(address, name, value) for address, given in values.items() for name, value in given.items()]
    shown = "".join(f"{address}/{name}\0{value}\n" for address, name, value in attributes)
    links = f"{igd}/driver ../../../bus/pci/drivers/i915\n{igd}/iommu_group ../../../kernel/iommu_groups/1\n"
    links += f"{igd}/driver/module ../../../../module/i915\n"
    assert pci.parse(f"{shown}-- links --\n{links}".encode()) == (
        model.PciDevice(igd, "8086", "9bc8", "030000", "1849:9bc8", "03", "i915", 1, True, "i915"),
        model.PciDevice(nic, "8086", "1539", "020000"),
    )
    with pytest.raises(ValueError, match="cut short"):
        pci.parse(shown.encode())
    with pytest.raises(ValueError, match="has no device"):
        pci.parse(f"{igd}/vendor\0000x8086\n-- links --\n".encode())


def test_small_ones():
    seen = modules.parse(b"nvme_core 5 nvme,nvme-fabrics,[permanent],\nvfio_pci 0 -\nsnd-hda-intel\n\n")
    assert seen.names == {"nvme_core", "vfio_pci", "snd_hda_intel"}
    assert seen.loaded == {
        "nvme_core": model.LoadedModule(5, ("nvme", "nvme_fabrics")),
        "vfio_pci": model.LoadedModule(0),
    }
    for nonsense in (b"nvme_core 5\n", b"nvme_core five nvme,\n", b"no/module\n"):
        with pytest.raises(ValueError):
            modules.parse(nonsense)
    assert packages.parse(
        b"ii  pve-manager 7.3-3\nun  proxmox-ve \nrc  qemu-server 7.3-1\nhi  pve-qemu-kvm 7.1.0-4\n"
    ) == {
        "pve-manager": "7.3-3",
        "pve-qemu-kvm": "7.1.0-4",
    }
    assert roms.parse(b"a" * 64 + b"  ./igd.rom\0") == {"igd.rom": "a" * 64}
    assert usb.parse(b"1-2/idVendor\x00046D\n1-2/idProduct\0c07e\n1-3/idVendor\0001d6b\n") == {"046d:c07e"}
    assert keeping.parse(b"dirty=bootconfig\ndirty=initramfs\nreboot_from=b\nledger=ff  -\n") == model.Keeping(
        (model.Step.INITRAMFS, model.Step.BOOTCONFIG), "b", "ff"
    )
    with pytest.raises(ValueError):
        keeping.parse(b"dirty=frobnicate\n")


def test_hardware():
    body = b"board_vendor\0ASRock\nboard_name\0B460M Steel Legend\nbios_version\0P1.60\nmodel\0model name\t: Intel i5\ndmar\0001\n"
    assert hardware.parse(body) == model.Hardware("ASRock B460M Steel Legend", "P1.60", "Intel i5", True)
    assert isinstance(hardware.parse(b"model\0\n").dmar, model.Unknown)


def test_hidden_addresses_are_unknown():
    assert "BOOTFB" in iomem.parse(b"c0000000-dfffffff : PCI Bus 0000:00\n    c0000000-c07e8fff : BOOTFB\n")
    with pytest.raises(ValueError, match="hidden"):
        iomem.parse(b"00000000-00000000 : PCI Bus 0000:00\n")


GRUB_CFG = """
set timeout=5
menuentry 'Proxmox VE GNU/Linux' --class proxmox $menuentry_id_option 'gnulinux-simple-1' {
\tlinux\t/boot/vmlinuz-6.8.12-4-pve root=/dev/mapper/pve-root ro  quiet memmap=1G\\$4G dyndbg="file a +p"
\tinitrd\t/boot/initrd.img-6.8.12-4-pve
}
submenu 'Advanced options' {
\tmenuentry 'Proxmox VE GNU/Linux, with Linux 5.15.74-1-pve (recovery mode)' {
\t\tlinuxefi /vmlinuz-5.15.74-1-pve root=/dev/mapper/pve-root ro single
\t}
}
menuentry "Memory test (memtest86+)" {
\tlinux16 /boot/memtest86+.bin
}
menuentry 'UEFI Firmware Settings' { fwsetup }
"""


def test_grub_cfg():
    quiet, recovery = grub_cfg.entries(GRUB_CFG)
    assert quiet == grub_cfg.Entry(
        "Proxmox VE GNU/Linux",
        "6.8.12-4-pve",
        ("root=/dev/mapper/pve-root", "ro", "quiet", "memmap=1G$4G", 'dyndbg="file a +p"'),
        False,
    )
    assert (recovery.kernel, recovery.recovery) == ("5.15.74-1-pve", True)


def test_only_what_takes_the_defaults_counts():
    custom = "menuentry 'mine' {\n linux /boot/vmlinuz-1.0 ro\n}\n"
    linux = f"### BEGIN /etc/grub.d/10_linux ###\n{GRUB_CFG}### END /etc/grub.d/10_linux ###\n"
    marked = f"{linux}### BEGIN /etc/grub.d/40_custom ###\n{custom}"
    assert grub_cfg.entries(marked) == grub_cfg.entries(GRUB_CFG)
    assert len(grub_cfg.entries(custom)) == 1
