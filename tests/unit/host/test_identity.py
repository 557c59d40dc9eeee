"""Who a node is: only what pmxcfs and the host name agree on."""

from __future__ import annotations

import pytest

from transom.host.probes import identity


def test_the_link_of_pmxcfs_and_the_host_name_say_who_it_is():
    assert identity.parse(b"nodes/pve1\npve1.lan\n") == "pve1"
    assert identity.parse(b"/etc/pve/nodes/pve1\npve1\n") == "pve1"


@pytest.mark.parametrize("body", [b"nodes/pve1\npve2\n", b"", b"nodes/pve1\n", b"\npve1\n"])
def test_what_does_not_agree_is_not_known(body):
    with pytest.raises(ValueError, match="host name"):
        identity.parse(body)
