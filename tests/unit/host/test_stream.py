"""The frames: what goes in comes out, and what is cut short is never used."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patience import PATIENCE
from transom import errors, model
from transom.host import facts, probe, probes, stream

NONCE = "0123456789abcdef"


def framed(bodies: dict[str, tuple[bytes, int]]) -> bytes:
    parts = [
        f"=== {NONCE} {name}\n".encode() + body + f"\n=== {NONCE} end {name} {status}\n".encode()
        for name, (body, status) in bodies.items()
    ]
    return b"".join(parts) + f"=== {NONCE} done\n".encode()


BODIES = st.dictionaries(
    st.sampled_from(["boot", "files", "pci", "end", "done2"]),
    st.tuples(
        st.binary(max_size=40) | st.sampled_from([b"\n", b"\n\n", b"=== other boot\n", b"=== ", b"\n=== 0123"]),
        st.integers(0, 255),
    ),
)


@given(BODIES)
def test_what_was_framed_comes_out(bodies):
    assert stream.split(framed(bodies), NONCE) == {name: stream.Section(*one) for name, one in bodies.items()}


@given(BODIES, st.data())
def test_a_stream_cut_anywhere_is_garbled(bodies, data):
    whole = framed(bodies)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(errors.Garbled):
        stream.split(whole[:cut], NONCE)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"=== 0123456789abcdef boot\nx\n",
        b"=== 0123456789abcdef boot\nx\n=== 0123456789abcdef end boot y\n=== 0123456789abcdef done\n",
        b"=== 0123456789abcdef boot x\n\n=== 0123456789abcdef end boot 0\n=== 0123456789abcdef done\n",
        framed({"a": (b"", 0)}).replace(b"done\n", b"a\n\n=== 0123456789abcdef end a 0\n=== 0123456789abcdef done\n"),
        framed({"a": (b"", 0)}).replace(b"end a 0\n", b"end a 0\nnoise\n"),
    ],
)
def test_out_of_order_is_garbled(text):
    with pytest.raises(errors.Garbled):
        stream.split(text, NONCE)


def test_a_banner_before_the_first_frame_is_passed_over():
    assert stream.split(b"Welcome\n" + framed({"a": (b"x", 3)}), NONCE) == {"a": stream.Section(b"x", 3)}


@pytest.mark.parametrize("nonce", ["", "short", "has space 12", "quote'quote", "a" * 65])
def test_a_nonce_that_would_break_the_script_is_refused(nonce):
    with pytest.raises(ValueError):
        stream.assemble((), nonce)


@given(
    st.lists(st.binary(min_size=1, max_size=30).filter(lambda body: b"\0" not in body and b"'" not in body), max_size=3)
)
@settings(max_examples=25)
def test_a_real_shell_frames_it_so(bodies):
    several = [
        probe.Probe(f"p{at}", f"printf '%s' '{body.decode('latin-1')}'; exit {at}", bytes)
        for at, body in enumerate(bodies)
    ]
    script = stream.assemble(several, NONCE).encode("latin-1")
    ran = subprocess.run(["sh", "-s"], input=script, capture_output=True, timeout=PATIENCE, check=True)
    assert stream.split(ran.stdout, NONCE) == {f"p{at}": stream.Section(body, at) for at, body in enumerate(bodies)}


def test_the_script_is_plain_posix_sh_and_quotes_the_node():
    script = stream.assemble(probes.all_probes("pve1'; touch /tmp/x; '"), NONCE)
    assert (
        subprocess.run(
            ["sh", "-n"], input=script.encode(), capture_output=True, timeout=PATIENCE, check=False
        ).returncode
        == 0
    )
    assert """/etc/pve/nodes/'pve1'"'"'; touch /tmp/x; '"'"''/qemu-server""" in script


def test_every_probe_that_did_not_run_leaves_unknowns():
    seen = facts.facts("pve1", {})
    assert isinstance(seen.boot.boot_id, model.Unknown)
    assert isinstance(seen.file("/etc/default/grub"), model.Unknown)
    assert isinstance(seen.file("/etc/modprobe.d/x.conf"), model.Unknown)
    for name in ("modules", "pci", "packages", "guests", "roms", "usb", "iomem", "keeping"):
        assert isinstance(getattr(seen, name), model.Unknown), name
    assert isinstance(seen.hardware.dmar, model.Unknown)


@given(st.binary(max_size=60), st.sampled_from([one.name for one in probes.all_probes("n")]))
@settings(max_examples=300)
def test_nonsense_from_a_probe_is_unknown_and_never_an_exception(body, name):
    facts.facts("pve1", {name: stream.Section(body, 0)})
