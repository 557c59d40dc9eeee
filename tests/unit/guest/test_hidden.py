"""Passwords in a VM's configuration."""

from __future__ import annotations

from transom.guest import hidden

CONF = """args: -vnc :1,password=hunter2 -object secret,id=s0,data="geheim 1" -spice 'password=geheim,port=1' -device x,id=password
cipassword: $5$salt$hash
description: password=in-words
name: a
scsi0: local:vm-1-disk-0,size=1G
"""


def test_passwords_are_covered_and_nothing_else():
    found = hidden.text(CONF)
    for secret in ("hunter2", "geheim", "$5$", "hash"):
        assert secret not in found
    for stays in ("-vnc :1,", "id=s0", "port=1", "id=password", "password=in-words", "name: a\n", "size=1G"):
        assert stays in found


def test_without_secrets_it_is_the_same_text():
    assert (
        hidden.text("name: a\nsshkeys: ssh-ed25519%20AAAA\nmemory: 1\n")
        == "name: a\nsshkeys: ssh-ed25519%20AAAA\nmemory: 1\n"
    )


def test_words_of_a_command_line():
    assert hidden.words("-object secret,id=s,data=abc -vnc :1,password=on") == (
        "-object secret,id=s,data=(hidden) -vnc :1,password=(hidden)"
    )
    assert hidden.words("vfio-pci,host=0000:00:02.0,id=hostpci0") == "vfio-pci,host=0000:00:02.0,id=hostpci0"
