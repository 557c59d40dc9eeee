"""What GRUB boots, from grub.cfg."""

from __future__ import annotations

import pytest

from transom.lab import bootmenu

MENU = """\
if [ -s $prefix/grubenv ]; then
  load_env
fi
set default="{default}"
menuentry 'PVE' --class a $menuentry_id_option 'gnulinux-simple' {{
	linux	/boot/vmlinuz-6 root=/dev/x ro quiet  iommu=pt
	initrd	/boot/initrd.img-6
}}
submenu 'More' $menuentry_id_option 'more' {{
	menuentry 'PVE, with 6' $menuentry_id_option 'six' {{
		linux	/boot/vmlinuz-6 root=/dev/x ro quiet
		initrd	/boot/initrd.img-6
	}}
	menuentry 'PVE, with 5' $menuentry_id_option 'five' {{
		linux	/boot/vmlinuz-5 root=/dev/x ro "a b" c\\"d
		initrd	/boot/initrd.img-5
	}}
}}
"""


@pytest.mark.parametrize(
    ("default", "kernel"),
    [
        ("0", "/boot/vmlinuz-6"),
        ("1>1", "/boot/vmlinuz-5"),
        ("More>PVE, with 5", "/boot/vmlinuz-5"),
        ("five", "/boot/vmlinuz-5"),
        ("9", "/boot/vmlinuz-6"),
    ],
)
def test_the_default_is_found_by_number_path_title_and_id(default: str, kernel: str) -> None:
    assert bootmenu.default(MENU.format(default=default)).kernel == kernel


def test_words_keep_their_quotes_for_the_kernel() -> None:
    entry = bootmenu.default(MENU.format(default="five"))
    assert entry.words == ("root=/dev/x", "ro", "a b", 'c"d')
    assert bootmenu.cmdline(entry) == 'BOOT_IMAGE=/boot/vmlinuz-5 root=/dev/x ro "a b" c"d'


@pytest.mark.parametrize("text", ["", "set default=0\n", "menuentry 'x' {\n}\n"])
def test_without_an_entry_that_boots_there_is_the_prompt(text: str) -> None:
    with pytest.raises(bootmenu.BadMenu):
        bootmenu.default(text)
