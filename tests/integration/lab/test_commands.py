"""The commands of a node: the same effects and complaints as on a real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from transom import errors
from transom.host.probes import links
from transom.lab import bootmenu, fleet, initrd

DROPIN = "etc/default/grub.d/90-transom.cfg"


@pytest.fixture(autouse=True)
def tidy(node: fleet.FleetNode) -> Iterator[None]:
    """Takes away what the tests put there."""
    yield
    for path in (DROPIN, "etc/modprobe.d/zz-test.conf"):
        (node.root / path).unlink(missing_ok=True)


def words(node: fleet.FleetNode) -> list[tuple[str, ...]]:
    return [entry.words for entry in bootmenu.entries((node.root / "boot/grub/grub.cfg").read_text())]


def test_update_grub_reads_the_files_as_a_shell_does(node: fleet.FleetNode) -> None:
    lines = ['GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT iommu=pt a=\\$b"', "GRUB_CMDLINE_LINUX=debug", ""]
    (node.root / DROPIN).write_text("\n".join(lines))
    node.ssh("/usr/sbin/update-grub")
    normal, advanced, recovery = words(node)
    assert normal == advanced == ("root=/dev/mapper/pve-root", "ro", "debug", "quiet", "iommu=pt", "a=$b")
    assert recovery == ("root=/dev/mapper/pve-root", "ro", "single", "debug")


def test_a_syntax_error_fails_and_keeps_the_old_menu(node: fleet.FleetNode) -> None:
    before = (node.root / "boot/grub/grub.cfg").read_bytes()
    (node.root / DROPIN).write_text('GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT iommu=pt\n')
    with pytest.raises(errors.Rejected, match=r"90-transom\.cfg: Syntax error: Unterminated quoted string"):
        node.ssh("update-grub")
    assert (node.root / "boot/grub/grub.cfg").read_bytes() == before


def test_grub_mkconfig_to_a_side_file_touches_nothing_else(node: fleet.FleetNode) -> None:
    before = (node.root / "boot/grub/grub.cfg").read_bytes()
    (node.root / DROPIN).write_text('GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT side"\n')
    node.ssh("grub-mkconfig -o /tmp/side.cfg")
    assert bootmenu.default((node.root / "tmp/side.cfg").read_text()).words[-1] == "side"
    assert (node.root / "boot/grub/grub.cfg").read_bytes() == before
    assert bootmenu.default(node.ssh("grub-mkconfig 2>/dev/null")).words[-1] == "side"


def test_update_initramfs_stores_the_present_files(node: fleet.FleetNode) -> None:
    path = node.root / "boot/initrd.img-5.15.74-1-pve"
    before = path.read_bytes()
    (node.root / "etc/modprobe.d/zz-test.conf").write_text("blacklist i915\n")
    assert node.ssh("update-initramfs -u -k all") == "update-initramfs: Generating /boot/initrd.img-5.15.74-1-pve\n"
    assert initrd.unpack(path.read_bytes()).files["etc/modprobe.d/zz-test.conf"] == b"blacklist i915\n"
    assert "etc/modprobe.d/zz-test.conf" in node.ssh("lsinitramfs /boot/initrd.img-$(uname -r)").split()
    (node.root / "etc/modprobe.d/zz-test.conf").unlink()
    node.ssh("update-initramfs -u")
    assert path.read_bytes() == before
    with pytest.raises(errors.Rejected, match="is not installed"):
        node.ssh("update-initramfs -u -k 9.9-pve")


def test_modprobe_tells_the_merged_configuration(node: fleet.FleetNode) -> None:
    (node.root / "etc/modprobe.d/zz-test.conf").write_text(
        "options vfio-pci ids=8086:9bc8\nsoftdep i915 pre: vfio-pci\n"
    )
    assert "options vfio_pci ids=8086:9bc8" in node.ssh("modprobe -c").splitlines()
    tried = [line.split("/")[-1] for line in node.ssh("modprobe -n -v i915").splitlines()]
    assert tried.index("vfio-pci.ko" if "vfio-pci.ko" in tried else "vfio_pci.ko ids=8086:9bc8") < tried.index(
        "i915.ko "
    )
    with pytest.raises(errors.Rejected, match="Module nonsense not found"):
        node.ssh("modprobe -n -v nonsense")


def test_versions_are_the_articles(node: fleet.FleetNode) -> None:
    lines = node.ssh("pveversion -v").splitlines()
    assert "proxmox-ve: 7.3-1 (running kernel: 5.15.74-1-pve)" in lines
    assert "pve-manager: 7.3-3 (running version: 7.3-3/c3928077)" in lines
    assert "pve-qemu-kvm: 7.1.0-4" in lines
    assert node.ssh("dpkg-query -W -f='${Package} ${Version}\\n' pve-qemu-kvm qemu-server").split() == [
        "pve-qemu-kvm", "7.1.0-4", "qemu-server", "7.3-1",
    ]  # fmt: skip


def test_lspci_prints_what_the_article_shows(node: fleet.FleetNode) -> None:
    assert node.ssh("lspci -kn -s 0000:00:02").splitlines() == [
        "00:02.0 0300: 8086:9bc8 (rev 03)",
        "\tSubsystem: 1849:9bc8",
        "\tKernel driver in use: i915",
        "\tKernel modules: i915",
    ]


def test_the_loader_is_plain_grub(node: fleet.FleetNode) -> None:
    with pytest.raises(errors.Rejected, match="proxmox-boot-uuids does not exist"):
        node.ssh("proxmox-boot-tool status")
    with pytest.raises(errors.Rejected, match="EFI variables are not supported"):
        node.ssh("efibootmgr -v")
    assert node.ssh("systemctl is-system-running") == "running\n"


def test_a_node_is_reached_over_the_card_below_its_bridge(node: fleet.FleetNode) -> None:
    (found,) = set(links.parse(node.ssh(links.COMMAND).encode()))
    assert (found.what, found.addresses) == ("the way to Transom", ("0000:00:1f.6",))
    assert "dev lo" in found.says
    assert "default via 192.168.1.1 dev vmbr0" in found.says


def test_qm_and_pvesh_work_on_the_same_files(node: fleet.FleetNode) -> None:
    node.ssh("qm create 110 --name a --memory 64 --args '-set device.hostpci0.addr=02.0'")
    conf = node.root / "etc/pve/nodes/pve1/qemu-server/110.conf"
    assert "args: -set device.hostpci0.addr=02.0\n" in conf.read_text()
    node.ssh("pvesh set /nodes/pve1/qemu/110/config --vga none")
    assert "\nvga: none\n" in conf.read_text()
    node.ssh("qm destroy 110")
    assert not conf.exists()
