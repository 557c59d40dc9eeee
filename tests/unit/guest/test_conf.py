"""The configuration file: read as qemu-server reads it, written as it writes it; ``golden/conf`` holds files of the real one."""

from __future__ import annotations

import pathlib

import hypothesis
import pytest
from hypothesis import strategies as st

from transom.guest import conf

FILES = sorted((pathlib.Path(__file__).parents[2] / "golden" / "guest" / "conf").glob("*.conf"))
KEYS = st.from_regex(r"[a-z][a-z_-]{0,8}[0-9]{0,2}", fullmatch=True).filter(
    lambda key: key not in {"description", "delete", "cdrom", "args", "snapstate"}
)
VALUES = st.from_regex(r"[!-~]([ -~]{0,20}[!-~])?", fullmatch=True)
SECTIONS = st.dictionaries(KEYS, VALUES, max_size=5)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=12)
DESCRIPTIONS = st.lists(TEXTS, max_size=3).map("\n".join).filter(lambda text: text == text.rstrip())
NAMES = st.from_regex(r"[a-z][a-z0-9_-]{1,6}", fullmatch=True).filter(lambda name: name != "pending")


@st.composite
def confs(draw: st.DrawFn) -> conf.GuestConf:
    pending, deleted = draw(SECTIONS), draw(st.frozensets(KEYS, max_size=3))
    names = draw(st.lists(NAMES, unique=True, max_size=2).map(sorted))
    return conf.GuestConf(
        main=draw(SECTIONS),
        pending=pending,
        pending_delete=deleted,
        pending_forced=frozenset(sorted(deleted)[:1]) if draw(st.booleans()) else frozenset(),
        snapshots=tuple(names),
        description=draw(DESCRIPTIONS),
        has_pending=bool(pending or deleted),
        others=tuple(conf.Section(name, draw(SECTIONS), draw(DESCRIPTIONS)) for name in names),
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_pve_wrote_renders_to_the_byte(file: pathlib.Path) -> None:
    text = file.read_text()
    assert conf.render(conf.parse(text)) == text
    assert conf.parse(text).unparsed == ()


@hypothesis.given(confs())
def test_parse_is_the_inverse_of_render(one: conf.GuestConf) -> None:
    text = conf.render(one)
    assert conf.parse(text) == one
    assert conf.render(conf.parse(text)) == text


@hypothesis.given(st.text(max_size=200))
def test_no_text_makes_it_fail_and_a_second_rendering_changes_nothing(text: str) -> None:
    once = conf.render(conf.parse(text))
    assert conf.render(conf.parse(once)) == once


@hypothesis.given(TEXTS)
def test_description_lines_survive_their_coding(text: str) -> None:
    assert conf.decode(conf.encode(text)) == text
    assert conf.encode(text).isascii()


def test_the_server_codes_percent_and_colon_only_among_plain_characters() -> None:
    assert conf.encode("line two %: ü") == "line two %25%3A %C3%BC"


def test_persisted_lays_the_pending_changes_over_the_main_section() -> None:
    text = "#first\nargs: -a\nmemory: 64\nonboot: 1\nvga: std\n\n[PENDING]\ndelete: !onboot,args\nmemory: 128\n\n[s1]\nmemory: 32\n"
    one = conf.parse(text)
    assert one.current() == {"args": "-a", "description": "first", "memory": "64", "onboot": "1", "vga": "std"}
    assert one.persisted() == {"description": "first", "memory": "128", "vga": "std"}
    assert one.pending_delete == {"onboot", "args"}
    assert one.pending_forced == {"onboot"}
    assert one.snapshots == ("s1",)
    assert conf.render(one) == text.replace("!onboot,args", "args,!onboot")


def test_a_pending_description_replaces_the_other_even_when_it_is_emptied() -> None:
    assert conf.parse("#old\n\n[PENDING]\n#new\n").persisted() == {"description": "new"}
    emptied = "#old\n\n[PENDING]\n#\n"
    assert conf.parse(emptied).persisted() == {}
    assert conf.render(conf.parse(emptied)) == emptied


def test_what_cannot_be_parsed_is_kept_aside_with_its_line_number() -> None:
    one = conf.parse("name: base\nthis is garbage\ndelete: name\n[what is this]\nname: inside\n[s1]\nname: snap\n")
    assert one.main == {"name": "base"}
    assert [(line.number, line.text) for line in one.unparsed] == [
        (2, "this is garbage"),
        (3, "delete: name"),
        (4, "[what is this]"),
        (5, "name: inside"),
    ]
    assert one.snapshots == ("s1",)


def test_a_single_blank_is_a_value_as_pve_writes_it() -> None:
    assert conf.parse("boot:  \nargs:  \n").main == {"boot": " ", "args": " "}


def test_nothing_behind_a_key_is_a_blank_too_and_renders_to_the_byte() -> None:
    created = conf.parse("boot: \nname: created\n")
    assert created.current() == created.persisted() == {"boot": " ", "name": "created"}
    assert conf.render(created) == "boot: \nname: created\n"


def test_the_old_name_of_the_cdrom_is_read_as_ide2() -> None:
    assert conf.parse("cdrom: none,media=cdrom\n").main == {"ide2": "none,media=cdrom"}


def test_special_sections_are_no_snapshots() -> None:
    text = "name: a\n\n[special:cloudinit]\nname: b\n\n[snap]\nname: c\n"
    one = conf.parse(text)
    assert one.snapshots == ("snap",)
    assert conf.render(one) == text
