"""Our reading of files against the programs that read them on a host: ``sh`` and kmod's ``modprobe -c``."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patience import PATIENCE
from transom.host import grub, grub_edit, grub_words, modprobe, registry, shell, source
from transom.host.settings import blacklist, softdep

SH = shutil.which("dash") or shutil.which("sh") or "sh"
MODPROBE = shutil.which("modprobe", path="/usr/sbin:/sbin:/usr/bin:/bin")
TOKENS = st.text(alphabet=st.sampled_from(list("abz09=,.:-_$`'\"\\;|&<>{}#*?~!()@%^+")), min_size=1, max_size=12)
SHELL = st.text(alphabet=st.sampled_from(list("AB=ab \"'$\\{}\n;#")), max_size=24)


def sourced(text: str, name: str) -> subprocess.CompletedProcess[str]:
    """What ``sh`` has in the variable after the text, as grub-mkconfig sources it."""
    script = f'set -e\n. /dev/stdin\nprintf "%s" "${name}"'
    return subprocess.run(
        [SH, "-c", script], input=text, capture_output=True, text=True, timeout=PATIENCE, check=False, env={}
    )


@given(st.lists(TOKENS, min_size=1, max_size=4, unique=True))
@settings(max_examples=150)
def test_what_we_write_the_shell_and_grub_give_back(tokens):
    text = registry.by_key("kernel_cmdline").edit("", frozenset(), tuple(tokens))
    assert grub_edit.items(text) == tuple(tokens)
    ran = sourced(text, grub.DEFAULT)
    assert ran.returncode == 0, ran.stderr
    assert grub_words.split(ran.stdout) == tuple(tokens)


@given(st.lists(st.builds("A{}={}".format, st.sampled_from("AB"), SHELL), max_size=3).map("\n".join))
@settings(max_examples=400)
def test_assignments_are_read_as_the_shell_does(text):
    known: dict[str, source.Chars] = {"AA": (), "AB": ()}
    try:
        tuple(shell.walk(text, "f", known))
    except shell.Unjudged:
        return
    ran = sourced(text, "AA")
    value = source.text(known["AA"])
    if shell.HOLE not in value:
        assert (ran.returncode, ran.stdout) == (0, value), ran.stderr


@pytest.mark.parametrize(
    "line",
    [
        'A+=" b"',
        "if true; then A=b; fi",
        "A=b true",
        ". /x",
        "A=(b)",
        "A=b &",
        "A=b | cat",
        "f() { :; }",
        "A=b)",
        "A=$\\\nB",
        "A=$B\\\nC",
        "A=${B?}",
        ";",
    ],
)
def test_what_runs_is_not_judged(line):
    with pytest.raises(shell.Unjudged):
        tuple(shell.walk(f"A=a\n{line}\n", "f", {}))


@pytest.mark.skipif(MODPROBE is None, reason="kmod is not installed")
@given(
    st.lists(
        st.sampled_from(
            [
                "blacklist i915",
                " \\blacklist xe",
                "blacklist\tsnd-hda-intel more",
                "blacklist \\",
                "# no \\",
                "#",
                " # bad",
                "\\",
                "",
                "blacklist a\\b",
                "blacklist crlf\r",
                "softdep i915 pre: a vfio-pci post: b",
                "softdep xe post: vfio-pci",
                "softdep a-b pre: vfio_pci",
                "options vfio-pci ids=1:2",
                "options vfio_pci x=1 ids=3:4,5:6",
                "options other ids=7:8",
                "blacklist",
                "blacklist q\\\\",
            ]
        ),
        max_size=8,
    ).map(lambda lines: "\n".join([*lines, ""]))
)
@settings(max_examples=120)  # fmt: skip
def test_modprobe_d_is_read_as_kmod_does(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("m", numbered=True)
    (folder / "a.conf").write_bytes(text.encode())
    shown = dump(folder)
    found = modprobe.directives(text, "a.conf")
    assert [f"blacklist {one.names('blacklist')}" for one in found if one.names("blacklist")] == shown["blacklist"]
    options = [
        f"options {one.names('options')} {source.text(one.chars).split(None, 2)[2]}"
        for one in found
        if one.names("options")
    ]
    assert options == shown["options"]
    waiting = [
        line.split()[1] for line in shown["softdep"] if "vfio" in line.partition("pre:")[2].partition("post:")[0]
    ]
    assert [place.value for place in softdep._FORM.places(text)] == waiting


@pytest.mark.skipif(MODPROBE is None, reason="kmod is not installed")
def test_files_are_read_by_name_and_ours_last(tmp_path):
    for name, ids in (("zz-transom.conf", "3:3"), ("vfio.conf", "2:2"), ("a.conf", "1:1")):
        (tmp_path / name).write_text(f"options vfio-pci ids={ids}\n")
    assert dump(tmp_path)["options"] == [f"options vfio_pci ids={n}:{n}" for n in (1, 2, 3)]


@pytest.mark.skipif(MODPROBE is None, reason="kmod is not installed")
def test_the_articles_file_blacklists_all_three(tmp_path):
    text = "blacklist snd_hda_intel \n blacklist snd_hda_codec_hdmi \n blacklist i915\n"
    (tmp_path / "blacklist.conf").write_text(text)
    names = [place.value for place in blacklist._FORM.places(text)]
    assert [f"blacklist {name}" for name in names] == dump(tmp_path)["blacklist"]
    assert names == ["snd_hda_intel", "snd_hda_codec_hdmi", "i915"]


def dump(folder) -> dict[str, list[str]]:
    """What ``modprobe -c`` makes of a folder, without what this machine's own command line adds."""
    ran = subprocess.run([str(MODPROBE), "-C", str(folder), "-c"], capture_output=True, timeout=PATIENCE, check=True)
    lines = ran.stdout.decode().split("\n# End of configuration")[0].split("\n")
    extra = (
        subprocess.run([str(MODPROBE), "-C", "/dev/null", "-c"], capture_output=True, timeout=PATIENCE, check=True)
        .stdout.decode()
        .split("\n")
    )
    return {
        kind: [line for line in lines if line.startswith(kind + " ") and line not in extra]
        for kind in ("blacklist", "options", "softdep")
    }
