"""A machine's disk: how its private root is first laid out, and what a shutdown and a boot do to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from transom.lab import boot, espmenu, initrd, kmod, world

GRUB_DEFAULT = """\
# If you change this file, run 'update-grub' afterwards to update
# /boot/grub/grub.cfg.
# For full documentation of the options in this file, see:
#   info -f grub -n 'Simple configuration'

GRUB_DEFAULT=0
GRUB_TIMEOUT=5
GRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX=""

# Uncomment to enable BadRAM filtering, modify to suit your needs
# This works with Linux (no patch required) and with any kernel that obtains
# the memory map information from GRUB (GNU Mach, kernel of FreeBSD ...)
#GRUB_BADRAM="0x01234567,0xfefefefe,0x89abcdef,0xefefefef"

# Uncomment to disable graphical terminal (grub-pc only)
#GRUB_TERMINAL=console

# Uncomment to disable generation of recovery mode menu entries
#GRUB_DISABLE_RECOVERY="true"

# Uncomment to get a beep at grub start
#GRUB_INIT_TUNE="480 440 1"
"""

GRUB_PROXMOX = """\
GRUB_DISTRIBUTOR="Proxmox VE"
GRUB_DISABLE_OS_PROBER=true
"""

PVE_BLACKLIST = """\
# This file contains a list of modules which are not supported by Proxmox VE

# nvidiafb see bugreport https://bugzilla.proxmox.com/show_bug.cgi?id=701
blacklist nvidiafb
"""

MODULES = """\
# /etc/modules: kernel modules to load at boot time.
#
# This file contains the names of kernel modules that should be loaded
# at boot time, one per line. Lines beginning with "#" are ignored.

"""

INITRAMFS_MODULES = """\
# List of modules that you want to include in your initramfs.
# They will be loaded at boot time in the order below.
#
# Syntax:  module_name [args ...]
#
# You must run update-initramfs(8) to effect this change.
#
# Examples:
#
# raid1
# sd_mod
"""

INTERFACES = """\
auto lo
iface lo inet loopback

iface eno1 inet manual

auto vmbr0
iface vmbr0 inet static
\taddress 192.168.1.10/24
\tgateway 192.168.1.1
\tbridge-ports eno1
\tbridge-stp off
\tbridge-fd 0
"""

FOLDERS = (
    "boot/grub", "dev", "etc/default/grub.d", "etc/initramfs-tools", "etc/kernel", "etc/modprobe.d", "etc/modules-load.d",
    "etc/network", "etc/pve", "etc/systemd/system", "mnt", "opt/lab", "proc", "root/.ssh", "run", "sys", "tmp", "usr",
    "usr/local/bin", "usr/local/sbin", "usr/share/kvm", "usr/lib/modules", "usr/lib/modprobe.d", "usr/lib/modules-load.d",
    "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/vz", "var/log", "var/tmp",
)  # fmt: skip

LINKS = {
    "bin": "usr/bin",
    "sbin": "usr/sbin",
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "var/run": "../run",
    "var/lock": "../run/lock",
    "etc/modules-load.d/modules.conf": "../modules",
    "etc/mtab": "../proc/self/mounts",
}

DAY = 86400


def texts(machine: world.LabNode) -> dict[str, str]:
    """The files of a fresh installation, by path without leading slash."""
    kernels = machine.kernels
    found = {
        "etc/default/grub": GRUB_DEFAULT,
        "etc/default/grub.d/proxmox-ve.cfg": GRUB_PROXMOX,
        "etc/hostname": f"{machine.name}\n",
        "etc/hosts": f"127.0.0.1 localhost.localdomain localhost\n192.168.1.10 {machine.name}.lan {machine.name}\n",
        "etc/group": "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n",
        "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "etc/os-release": os_release(machine),
        "etc/modprobe.d/pve-blacklist.conf": PVE_BLACKLIST,
        "etc/modules": MODULES,
        "etc/initramfs-tools/modules": INITRAMFS_MODULES,
        "etc/network/interfaces": INTERFACES,
        "usr/lib/modprobe.d/systemd.conf": "options bonding max_bonds=0\noptions dummy numdummies=0\n",
        "usr/share/kvm/vgabios-stdvga.bin": "\x55lab\n",
        "var/lib/dpkg/status": dpkg_status(machine.packages),
    }
    for kernel in kernels:
        found[f"boot/vmlinuz-{kernel}"] = f"kernel {kernel} of the lab\n"
        found[f"boot/config-{kernel}"] = "CONFIG_VFIO_PCI=m\nCONFIG_SYSFB=y\nCONFIG_INTEL_IOMMU=y\n"
        found[f"usr/lib/modules/{kernel}/modules.builtin"] = (
            "kernel/drivers/pci/pcie/pcieportdrv.ko\nkernel/fs/ext4/ext4.ko\n"
        )
    for iso in machine.isos:
        found[_iso_path(machine, iso)] = "synthetic\n"
    return found


def os_release(machine: world.LabNode) -> str:
    """``/etc/os-release`` of the Debian below this Proxmox VE."""
    major = machine.packages["pve-manager"].split(".")[0]
    number, name = {"7": ("11", "bullseye"), "8": ("12", "bookworm")}.get(major, ("13", "trixie"))
    return (
        f'PRETTY_NAME="Debian GNU/Linux {number} ({name})"\nNAME="Debian GNU/Linux"\nVERSION_ID="{number}"\nID=debian\n'
    )


def dpkg_status(packages: Mapping[str, str]) -> str:
    """The package database, in dpkg's own form."""
    return "".join(
        f"Package: {name}\nStatus: install ok installed\nPriority: optional\nSection: admin\nMaintainer: lab <lab@localhost>\n"
        f"Architecture: amd64\nVersion: {version}\nDescription: as on the real machine\n\n"
        for name, version in sorted(packages.items())
    )


def _iso_path(machine: world.LabNode, volume: str) -> str:
    storage, _, rest = volume.partition(":")
    path = next(one.path for one in machine.storages if one.name == storage)
    return f"{path.strip('/')}/template/{rest}"


def lay_out(root: Path, machine: world.LabNode, *, now: float) -> None:
    """Makes a fresh root. Its files are a day old, so that nothing looks changed since boot."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path, target in LINKS.items():
        (root / path).symlink_to(target)
    for path, text in texts(machine).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for kernel in machine.kernels:
        write_initrd(root, kernel)
    (root / "boot/grub/grub.cfg").write_text(first_menu(machine))
    if machine.loader == "systemd-boot":
        _lay_out_esp(root, machine)
    (root / "tmp").chmod(0o1777)
    (root / "root").chmod(0o700)
    for folder, _, names in os.walk(root):
        for name in names:
            os.utime(Path(folder) / name, (now - DAY, now - DAY), follow_symlinks=False)


def _lay_out_esp(root: Path, machine: world.LabNode) -> None:
    """What the installer leaves on ZFS: the list of ESPs, the command line, and one ESP with systemd-boot's entries."""
    line = "root=ZFS=rpool/ROOT/pve-1 boot=zfs quiet"
    esp = root / espmenu.FOLDER
    texts = {"loader/loader.conf": "timeout 3\ndefault proxmox-*\n"}
    for kernel in machine.kernels:
        inside = f"EFI/proxmox/{kernel}"
        (esp / inside).mkdir(parents=True)
        for name in (f"vmlinuz-{kernel}", f"initrd.img-{kernel}"):
            shutil.copyfile(root / "boot" / name, esp / inside / name)
        texts[f"loader/entries/proxmox-{kernel}.conf"] = (
            f"title    Proxmox Virtual Environment\nversion  {kernel}\noptions  {line}\n"
            f"linux    /{inside}/vmlinuz-{kernel}\ninitrd   /{inside}/initrd.img-{kernel}\n"
        )
    for path, text in texts.items():
        (esp / path).parent.mkdir(parents=True, exist_ok=True)
        (esp / path).write_text(text)
    (root / "etc/kernel/cmdline").write_text(f"{line}\n")
    (root / "etc/kernel/proxmox-boot-uuids").write_text(f"{espmenu.UUID}\n")


def read_esp(root: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """The texts of the ESP by path, and its images by path with a slash before it; both empty without one."""
    esp = root / espmenu.FOLDER
    files = [path for path in sorted(esp.rglob("*")) if path.is_file()]
    texts = {str(path.relative_to(esp)): path.read_text(errors="replace") for path in files if path.suffix == ".conf"}
    images = {f"/{path.relative_to(esp)}": path.read_bytes() for path in files if path.parts[-3:-2] == ("proxmox",)}
    return texts, images


def first_menu(machine: world.LabNode) -> str:
    """The boot menu that the installer left: enough to boot; ``update-grub`` writes the full one."""
    return 'set default="0"\n' + "".join(
        f"menuentry 'Proxmox VE GNU/Linux' --class proxmox {{\n"
        f"\tlinux\t/boot/vmlinuz-{kernel} root=/dev/mapper/pve-root ro  quiet\n"
        f"\tinitrd\t/boot/initrd.img-{kernel}\n}}\n"
        for kernel in machine.kernels
    )


def install(root: Path, machine: world.LabNode) -> None:
    """Brings the package database and the kernels' files to what ``machine`` says now, as an upgrade does."""
    wanted = texts(machine)
    for path in wanted:
        kernel = path.startswith(("boot/", "usr/lib/modules/"))
        if path == "var/lib/dpkg/status" or (kernel and not (root / path).exists()):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(wanted[path])


def age(path: Path, seconds: float) -> None:
    """Makes a file that much older than it is."""
    stamp = path.stat().st_mtime - seconds
    os.utime(path, (stamp, stamp))


def write_initrd(root: Path, kernel: str, *, without: Path | None = None, target: Path | None = None) -> None:
    """What ``update-initramfs -u -k KERNEL`` does; the new image replaces the old one at once.

    ``without``: a modprobe.d file that is left out, for an image from before it was there. ``target``: elsewhere than in /boot.
    """
    folders = (root / "etc/modprobe.d", root / "usr/lib/modprobe.d")
    paths = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*.conf")) if path.is_file()]
    modprobe = {f"/{path.relative_to(root)}": path.read_bytes() for path in paths if path != without}
    listed = root / "etc/initramfs-tools/modules"
    image = initrd.build(kernel, modprobe, listed.read_text() if listed.exists() else "")
    target = target or root / f"boot/initrd.img-{kernel}"
    fresh = target.with_name(f"{target.name}.new")
    fresh.write_bytes(initrd.pack(image))
    fresh.replace(target)


def read_disk(root: Path) -> boot.Disk:
    """What boot reads of this root. Files that are no text are read as far as they go."""
    menu = root / "boot/grub/grub.cfg"
    esp, images = read_esp(root)
    images |= {f"/boot/{path.name}": path.read_bytes() for path in _files(root / "boot", "*")}
    found = {
        f"/{path.relative_to(root)}": path
        for folder in kmod.DIRECTORIES
        for path in _files(root / folder[1:], "*.conf")
    }
    return boot.Disk(
        grub_cfg=(menu.read_text(errors="replace") if menu.is_file() else "") + _custom(root),
        images=images,
        modprobe=tuple(found[path].read_text(errors="replace") for path in kmod.order(found)),
        modules_load=tuple(path.read_text(errors="replace") for path in modules_load(root)),
        esp=esp,
    )


def _custom(root: Path) -> str:
    custom = root / "boot/grub/custom.cfg"
    return custom.read_text(errors="replace") if custom.is_file() else ""


def take_once(root: Path, *, clear: bool) -> str:
    """The entry that GRUB's environment names for one boot. GRUB takes the name away before it boots it, where it can write."""
    env = root / "boot/grub/grubenv"
    lines = env.read_text(errors="replace").splitlines(keepends=True) if env.is_file() else []
    named = [line for line in lines if line.startswith("next_entry=")]
    if named and clear:
        kept = "".join("next_entry=\n" if line in named else line for line in lines)
        env.write_text(kept.rstrip("#")[:1024].ljust(1024, "#"))
    return named[0].strip().partition("=")[2] if named else ""


def modules_load(root: Path) -> list[Path]:
    """The modules-load.d files by base name, ``/etc`` before ``/usr/lib``; ``modules.conf`` is a link to ``/etc/modules``."""
    by_name: dict[str, Path] = {}
    for folder in ("etc/modules-load.d", "run/modules-load.d", "usr/lib/modules-load.d"):
        for path in _files(root / folder, "*.conf"):
            by_name.setdefault(path.name, path)
    return [by_name[name] for name in sorted(by_name)]


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file()) if folder.is_dir() else []


def power_off(root: Path) -> None:
    """What does not outlive the power: ``/run`` and ``/tmp``. Links are removed, never followed."""
    for name, mode in (("run", 0o755), ("tmp", 0o1777)):
        folder = root / name
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(folder.lstat().st_mode):
                shutil.rmtree(folder)
            else:
                folder.unlink()
        folder.mkdir()
        folder.chmod(mode)
    (root / "run/lock/qemu-server").mkdir(parents=True)
    (root / "run/lock").chmod(0o1777)
