"""Taking a foreign line over: it stays as a comment, and what else it gave stays in force."""

from __future__ import annotations

import pytest

from transom import errors
from transom.host import lines, registry

TAKEN = lines.TAKEN_OVER


@pytest.mark.parametrize(
    ("key", "line", "item", "kept"),
    [
        (
            "kernel_cmdline",
            'GRUB_CMDLINE_LINUX_DEFAULT="quiet intel_iommu=off"',
            "intel_iommu=off",
            'GRUB_CMDLINE_LINUX_DEFAULT="quiet"',
        ),
        ("kernel_cmdline", "GRUB_CMDLINE_LINUX=intel_iommu=off", "intel_iommu=off", "GRUB_CMDLINE_LINUX="),
        (
            "kernel_cmdline",
            'GRUB_CMDLINE_LINUX="q intel_iommu=off,sm_on intel_iommu"',
            "intel_iommu=off",
            'GRUB_CMDLINE_LINUX="q intel_iommu=sm_on intel_iommu"',
        ),
        ("kernel_cmdline", "A=1; GRUB_CMDLINE_LINUX='a b c' # why", "b", "A=1; GRUB_CMDLINE_LINUX='a c' # why"),
        (
            "kernel_cmdline",
            'GRUB_CMDLINE_LINUX_DEFAULT="dyndbg=\\"file a +p\\" q"',
            'dyndbg="file a +p"',
            'GRUB_CMDLINE_LINUX_DEFAULT="q"',
        ),
        (
            "kernel_cmdline",
            "GRUB_CMDLINE_LINUX_DEFAULT='quiet'",
            "",
            "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT \"'quiet'",
        ),
        ("kernel_cmdline", "GRUB_CMDLINE_LINUX=a\\ b\\ c", "b", "GRUB_CMDLINE_LINUX=a\\ c"),
        ("kernel_cmdline", "GRUB_CMDLINE_LINUX=a\\ b", "b", "GRUB_CMDLINE_LINUX=a"),
        ("kernel_cmdline", "GRUB_CMDLINE_LINUX=a\\ b", "a", "GRUB_CMDLINE_LINUX=b"),
        ("kernel_cmdline", "GRUB_CMDLINE_LINUX=a # why", "a", "GRUB_CMDLINE_LINUX= # why"),
        ("kernel_cmdline", "export GRUB_CMDLINE_LINUX=a X=1", "a", "export GRUB_CMDLINE_LINUX= X=1"),
        ("module_options", "options kvm a=1\\ b=2", "kvm.b=2", "options kvm a=1"),
        ("modules", "vfio_virqfd", "vfio_virqfd", None),
        (
            "vfio_ids",
            "options vfio-pci ids=1:2,8086:9BC8,3:4 disable_vga=1",
            "8086:9bc8",
            "options vfio-pci ids=1:2,3:4 disable_vga=1",
        ),
        ("vfio_ids", "options vfio-pci ids=1:2 disable_vga=1", "1:2", "options vfio-pci disable_vga=1"),
        ("vfio_ids", "options vfio-pci ids=1:2", "1:2", None),
        ("vfio_ids", "options vfio-pci ids=", "", None),
        ("vfio_ids", 'GRUB_CMDLINE_LINUX="vfio-pci.ids=1:2,3:4"', "1:2", 'GRUB_CMDLINE_LINUX="vfio-pci.ids=3:4"'),
        ("vfio_ids", 'GRUB_CMDLINE_LINUX="a vfio-pci.ids=1:2"', "1:2", 'GRUB_CMDLINE_LINUX="a"'),
        ("blacklist", "blacklist i915", "i915", None),
        (
            "blacklist",
            "GRUB_CMDLINE_LINUX='modprobe.blacklist=xe,i915 q'",
            "i915",
            "GRUB_CMDLINE_LINUX='modprobe.blacklist=xe q'",
        ),
        ("softdep", "softdep i915 pre: vfio-pci", "i915", None),
        ("softdep", "softdep i915 pre: drm", "i915 without vfio-pci", "softdep i915 pre: vfio-pci pre: drm"),
    ],
)
@pytest.mark.parametrize("end", ["\n", ""])
def test_one_line(key, line, item, kept, end):
    text = f"# before\n{line}{end}"
    after = registry.by_key(key).release(text, 2, item)
    assert after == f"# before\n{TAKEN}{line}" + (f"\n{kept}{end}" if kept is not None else end)


def test_a_continued_assignment_is_taken_over_whole():
    text = 'GRUB_CMDLINE_LINUX="a \\\n  b c"\nX=1\n'
    after = registry.by_key("kernel_cmdline").release(text, 2, "b")
    assert after == f'{TAKEN}GRUB_CMDLINE_LINUX="a \\\n{TAKEN}  b c"\nGRUB_CMDLINE_LINUX="a \\\n  c"\nX=1\n'


def test_a_continued_modprobe_line_stays_one_comment():
    text = "options vfio-pci \\\n ids=1:2,3:4\nblacklist i915\n"
    after = registry.by_key("vfio_ids").release(text, 2, "1:2")
    assert after == f"{TAKEN}options vfio-pci \\\n ids=1:2,3:4\noptions vfio-pci \\\n ids=3:4\nblacklist i915\n"


@pytest.mark.parametrize(
    ("key", "text", "item"),
    [
        ("kernel_cmdline", 'GRUB_CMDLINE_LINUX="a"\n', "b"),
        ("kernel_cmdline", "# nothing\n", "b"),
        ("modules", "vfio\n", "kvm"),
        ("vfio_ids", "options vfio-pci ids=1:2\n", "3:4"),
        ("blacklist", "blacklist xe\n", "i915"),
        ("softdep", "softdep i915 pre: drm\n", "i915"),
    ],
)
def test_a_line_that_no_longer_says_so_voids_the_plan(key, text, item):
    with pytest.raises(errors.Void):
        registry.by_key(key).release(text, 1, item)


def test_a_token_from_another_line_is_left_to_a_person():
    text = 'GRUB_CMDLINE_LINUX="intel_iommu=off"\nGRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX quiet"\n'
    with pytest.raises(errors.Rejected, match="by hand"):
        registry.by_key("kernel_cmdline").release(text, 2, "intel_iommu=off")


@pytest.mark.parametrize(
    ("key", "text", "line", "items", "after"),
    [
        ("kernel_cmdline", 'GRUB_CMDLINE_LINUX="a b c"\n', 1, ["a", "b"],
         f'{TAKEN}GRUB_CMDLINE_LINUX="a b c"\nGRUB_CMDLINE_LINUX="c"\n'),
        ("kernel_cmdline", "X=1\nGRUB_CMDLINE_LINUX_DEFAULT=a\n", 2, ["", "a"],
         f'X=1\n{TAKEN}GRUB_CMDLINE_LINUX_DEFAULT=a\nGRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT "\n'),
        ("vfio_ids", "options vfio-pci ids=1:2,3:4,5:6\n", 1, ["1:2", "5:6"],
         f"{TAKEN}options vfio-pci ids=1:2,3:4,5:6\noptions vfio-pci ids=3:4\n"),
        ("vfio_ids", "options vfio-pci ids=1:2,3:4\nx\n", 1, ["1:2", "3:4"], f"{TAKEN}options vfio-pci ids=1:2,3:4\nx\n"),
        ("vfio_ids", "options vfio-pci \\\n ids=1:2,3:4,5:6\n", 2, ["1:2", "3:4"],
         f"{TAKEN}options vfio-pci \\\n ids=1:2,3:4,5:6\noptions vfio-pci \\\n ids=5:6\n"),
    ],
)  # fmt: skip
def test_several_items_of_one_line_one_after_the_other(key, text, line, items, after):
    for item in items:
        text = registry.by_key(key).release(text, line, item)
    assert text == after
