"""Running QEMUs as the probes print them."""

from __future__ import annotations

import pytest

from transom import model
from transom.host.probes import qemu, qemus

TIMES = (
    b"1700000002.500000000 /run/qemu-server/112.pid\n1700000001.000000000 /etc/pve/nodes/pve1/qemu-server/112.conf\n"
)


def test_a_qemu_has_its_start_and_what_was_written_last():
    mapped = b"1700000009.000000001 /etc/pve/mapping/pci.cfg\n"
    assert qemus.parse(b"112 4711\n\n" + TIMES) == {112: model.Started(4711, 1700000002500000000, 1700000001000000000)}
    assert qemus.parse(b"112 4711\n\n" + TIMES + mapped)[112].written == 1700000009000000001


def test_one_that_has_just_gone_is_left_out():
    assert qemus.parse(b"112 4711\n113 4712\n\n" + TIMES).keys() == {112}
    assert qemus.parse(b"\n") == {}


@pytest.mark.parametrize("body", [b"", b"112 4711\n", b"x 1\n\n", b"112 4711\n\nyesterday /run/qemu-server/112.pid\n"])
def test_nonsense_is_refused(body):
    with pytest.raises(ValueError, match=r"cut off|no VM|no time"):
        qemus.parse(body)


def test_a_command_line_is_taken_apart_as_the_shell_would():
    told = b"activating and using 'x' as vmstate\n/usr/bin/kvm -id 112 -smbios 'type=1,serial=a b' -vga none\n"
    assert qemu.parse_wanted(told) == ("/usr/bin/kvm", "-id", "112", "-smbios", "type=1,serial=a b", "-vga", "none")
    assert qemu.parse_wanted(b"/usr/bin/taskset --cpu-list --all-tasks 0-3 /usr/bin/kvm -id 1")[-2:] == ("-id", "1")
    assert qemu.parse_running(b"/usr/bin/kvm\0-id\000112\0-append\0\0") == ("/usr/bin/kvm", "-id", "112", "-append", "")
    for wrong in (b"", b"no such VM\n"):
        with pytest.raises(ValueError, match="no command line"):
            qemu.parse_wanted(wrong)
        with pytest.raises(ValueError, match="no command line"):
            qemu.parse_running(wrong)
