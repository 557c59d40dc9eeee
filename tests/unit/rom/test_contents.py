"""Reading firmware: each wrapping, each compression, and every hard case of what vendors ship."""

from __future__ import annotations

import hashlib
import io
import struct
import time
import types
import uuid
import zipfile

import brotli
import pytest
import zstandard

from transom import errors
from transom.rom import budget, build, choose, contents, tiano, tree

COMET = (0x9BC8, 0x9BC5, 0x3E92, 0x1912)
ALDER = (0x46A6, 0x46A8, 0x46D0, 0xA7A0)


@pytest.fixture(scope="module")
def gop(make: types.ModuleType) -> bytes:
    return make.gop(COMET, fill=bytes(range(256)) * 100)


def image(make: types.ModuleType, body: bytes, **more: object) -> bytes:
    """A volume with one file of that body."""
    return make.volume(make.file(body, **more))


def the_gop(data: bytes, device: int = 0x9BC8) -> bytes:
    return choose.gop_for(contents.read(data), (device,)).driver.data


def packers(make: types.ModuleType) -> dict[str, object]:
    frame = zstandard.ZstdCompressor(write_content_size=False)
    return {
        "LZMA": lambda b: make.guided(make.LZMA, make.lzma_alone(b)),
        "LZMA-F86": lambda b: make.guided(make.LZMA_F86, make.lzma_f86(b)),
        "Brotli": lambda b: make.guided(make.BROTLI, make.brotli_section(brotli.compress(b, quality=5), len(b))),
        "GZip": lambda b: make.guided(make.GZIP, make.gz(b)),
        "zstd": lambda b: make.guided(uuid.UUID(int=7), frame.compress(b)),
        "Tiano guided": lambda b: make.guided(make.TIANO, tiano._extension().TianoCompress(b, len(b))),
        "EFI 1.1": lambda b: make.section(1, struct.pack("<IB", len(b), 1) + tiano.compress(b)),
        "Tiano": lambda b: make.section(1, struct.pack("<IB", len(b), 1) + tiano._extension().TianoCompress(b, len(b))),
        "LZMA section": lambda b: make.section(1, struct.pack("<IB", len(b), 2) + make.lzma_alone(b)),
        "stored": lambda b: make.section(1, struct.pack("<IB", len(b), 0) + b),
        "CRC32": lambda b: make.guided(make.CRC32, b, extra=struct.pack("<I", __import__("zlib").crc32(b))),
    }


NAMES = [
    "LZMA",
    "LZMA-F86",
    "Brotli",
    "GZip",
    "zstd",
    "Tiano guided",
    "EFI 1.1",
    "Tiano",
    "LZMA section",
    "stored",
    "CRC32",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_compression(make: types.ModuleType, gop: bytes, name: str) -> None:
    inner = make.joined(make.section(0x10, gop), make.ui("IntelGopDriver"))
    found = contents.read(image(make, packers(make)[name](inner)))  # type: ignore[operator]
    assert found.whole, found.problems
    assert found.kind == "firmware"
    assert [(d.data, d.name, d.form) for d in found.gops] == [(gop, "IntelGopDriver", "PE32")]
    assert found.gops[0].gop is not None
    assert found.gops[0].gop.version == "9.0.1107"
    assert found.gops[0].gop.devices == COMET


def test_all_compressions_inside_one_another(make: types.ModuleType, gop: bytes) -> None:
    body = make.section(0x10, gop)
    for name in NAMES:
        body = packers(make)[name](make.section(0x17, image(make, body)))  # type: ignore[operator]
    found = contents.read(image(make, body))
    assert found.whole, found.problems
    assert found.gops[0].data == gop
    assert found.gops[0].sha256 == hashlib.sha256(gop).hexdigest()


def test_x86_filter_is_really_undone(make: types.ModuleType) -> None:
    # E8 calls change under the filter: a decoder that skips it would give other bytes
    calls = b"".join(b"\xe8" + struct.pack("<i", 1000 - at) for at in range(0, 20_000, 5))
    driver = make.gop(COMET, fill=calls)
    packed = make.lzma_f86(make.section(0x10, driver))
    assert the_gop(image(make, make.guided(make.LZMA_F86, packed))) == driver
    assert driver not in [one.data for one in contents.read(image(make, make.guided(make.LZMA, packed))).gops]


def test_ami_freeform_section(make: types.ModuleType, gop: bytes) -> None:
    section = make.section(0x18, make.AMI_GOP.bytes_le + gop)
    vbios = make.section(0x18, uuid.UUID("c5a4306e-e247-4ecd-a9d8-5b1985d3dcda").bytes_le + make.legacy())
    csm = make.file(make.joined(section, vbios), guid=make.AMI_CSM, kind=2)
    inner = make.section(0x17, make.volume(csm))
    found = contents.read(make.volume(make.file(make.guided(make.LZMA, make.lzma_alone(inner)), kind=0xB)))
    assert found.gops[0].data == gop
    assert found.gops[0].guid == str(make.AMI_CSM)
    assert [(one.code_type, one.devices) for one in found.images] == [(0, (0x0406,))]


def test_large_file_and_large_section(make: types.ModuleType, gop: bytes) -> None:
    # uefi-firmware 1.16 loses what stands behind an FFSv3 file of more than 16 MiB
    huge = make.file(make.section(0x19, bytes(17 << 20), large=True), checked=False)
    behind = make.file(make.section(0x10, gop))
    found = contents.read(make.volume(huge, behind, guid=make.FFS3))
    assert found.whole, found.problems
    assert found.gops[0].data == gop


def test_ffs1_knows_no_large_flag(make: types.ModuleType, gop: bytes) -> None:
    one = bytearray(make.file(make.section(0x10, gop), checked=False))
    one[19], one[16] = 0x01, (one[16] - 1) & 0xFF  # in FFSv1 this bit announces a tail
    assert the_gop(make.volume(bytes(one), guid=uuid.UUID("7a9354d9-0468-444a-81ce-0bf617d890df"))) == gop


def test_flash_image_with_descriptor_and_me(make: types.ModuleType, gop: bytes) -> None:
    decoy = make.volume(make.file(make.section(0x10, make.gop(ALDER))))
    me = (b"$FPT" + bytes(4092) + decoy).ljust(256 * 1024, b"\xff")
    bios = image(make, make.section(0x10, gop)).rjust(1 << 20, b"\xff")
    found = contents.read(make.flash(bios, size=2 << 20, me=me))
    assert found.whole, found.problems
    assert [node.name for node in found.nodes if node.kind == "region"] == ["descriptor", "ME", "BIOS"]
    assert the_gop(make.flash(bios, size=2 << 20, me=me)) == gop


def test_truncated_flash_image_is_damage(make: types.ModuleType, gop: bytes) -> None:
    bios = image(make, make.section(0x10, gop)).rjust(1 << 20, b"\xff")
    found = contents.read(make.flash(bios, size=2 << 20)[: (2 << 20) - 4096])
    assert not found.whole
    assert any("BIOS region ends" in p.text for p in found.at_level(tree.Level.DAMAGE))


CAPSULES = ["3b6686bd-0d76-4030-b70e-b5519e2fc5a0", "6dcbd5ed-e82d-4c44-bda1-7194199ad92a"]


@pytest.mark.parametrize("guid", CAPSULES)
def test_efi_capsules(make: types.ModuleType, gop: bytes, guid: str) -> None:
    assert the_gop(make.capsule(image(make, make.section(0x10, gop)), uuid.UUID(guid))) == gop


@pytest.mark.parametrize("guid", ["4a3ca68b-7723-48fb-803d-578cc1fec44d", "14eebb90-890a-43db-aed1-5d3c4588a418"])
def test_aptio_and_asus_capsules(make: types.ModuleType, gop: bytes, guid: str) -> None:
    body = make.flash(image(make, make.section(0x10, gop)), size=1 << 20)
    capsule = bytearray(make.capsule(body, uuid.UUID(guid), header=0x800))
    struct.pack_into("<H", capsule, 28, 0x800)
    assert the_gop(bytes(capsule)) == gop
    assert not contents.read(bytes(capsule[:-100])).whole


def zipped(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_zip_around_it(make: types.ModuleType, gop: bytes) -> None:
    data = zipped({"readme.txt": b"x" * 600, "B460M.30": image(make, make.section(0x10, gop))})
    assert the_gop(data) == gop
    assert the_gop(zipped({"inner.zip": data})) == gop


def test_zip_slip_is_only_a_note(make: types.ModuleType, gop: bytes) -> None:
    found = contents.read(zipped({"../../etc/cron.d/x": image(make, make.section(0x10, gop))}))
    assert "leads outside" in found.problems[0].text
    assert found.gops[0].data == gop


def test_encrypted_zip_entry_is_named() -> None:
    data = bytearray(zipped({"bios.bin": bytes(5000)}))
    data[6] |= 1
    data[data.find(b"PK\1\2") + 8] |= 1
    found = contents.read(bytes(data))
    assert "encrypted" in found.at_level(tree.Level.UNREAD)[0].text
    with pytest.raises(errors.RomError, match="encrypted"):
        choose.gop_for(found, (0x9BC8,))


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (b"PFS.HDR.\1\0\0\0", "Dell PFS"),
        (b"@UAF" + bytes(12) + b"@ROM", "AMI UCP"),
        (b"@HPU" + bytes(12) + b"@ROM", "AMI UCP"),
        (bytes(8) + b"_AMIPFATcAMI_BIOS_GUARD_FLASH_CONFIGURATIONS", "AMI PFAT"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"Rar!\x1a\x07\x01\0", "RAR"),
    ],
)
def test_hidden_forms_are_named_with_what_to_do(make: types.ModuleType, gop: bytes, start: bytes, says: str) -> None:
    data = start + bytes(4096) + image(make, make.section(0x10, gop))
    found = contents.read(data)
    assert found.kind == "unknown"
    assert says in found.at_level(tree.Level.UNREAD)[0].text
    with pytest.raises(errors.RomError, match=r"then give|unpack it first"):
        choose.gop_for(found, (0x9BC8,))


def test_installers(make: types.ModuleType, gop: bytes) -> None:
    inno = make.pe(subsystem=2, body=b"Inno Setup Setup Data (5.5.7)".ljust(4096, b"\0"))
    assert "innoextract" in contents.read(inno).at_level(tree.Level.UNREAD)[0].text
    plain = make.pe(subsystem=2, body=bytes(4096)) + image(make, make.section(0x10, gop))
    assert the_gop(plain) == gop


def test_two_gops_are_told_by_their_tables(make: types.ModuleType) -> None:
    comet, alder = make.gop(COMET), make.gop(ALDER, major="21", build="1066")
    data = make.volume(make.file(make.section(0x10, alder)), make.file(make.section(0x10, comet)))
    assert the_gop(data, 0x9BC8) == comet
    assert the_gop(data, 0x46A6) == alder
    with pytest.raises(errors.RomError, match=r"no GOP driver here serves 8086:7d55.*21\.0\.1066.*9\.0\.1107"):
        the_gop(data, 0x7D55)


def test_ia32_beside_x64_and_te(make: types.ModuleType, gop: bytes) -> None:
    ia32 = make.gop(COMET, machine=0x14C)
    te = b"VZ\x64\x86\x01\x0b" + bytes(34) + make.NAME.encode("utf-16-le") + struct.pack("<4H", *COMET)
    data = make.volume(
        make.file(make.section(0x10, ia32)), make.file(make.section(0x12, te)), make.file(make.section(0x10, gop))
    )
    assert len(contents.read(data).gops) == 3
    assert the_gop(data) == gop
    with pytest.raises(errors.RomError, match=r"that can be wrapped.*IA32.*TE"):
        the_gop(make.volume(make.file(make.section(0x10, ia32)), make.file(make.section(0x12, te))))


def test_same_driver_twice_is_one(make: types.ModuleType, gop: bytes) -> None:
    one = image(make, make.section(0x10, gop))
    assert len(contents.read(one + one).gops) == 1


def test_newer_of_two_that_serve(make: types.ModuleType) -> None:
    older, newer = make.gop(COMET, build="1080"), make.gop(COMET, build="1107")
    data = make.volume(make.file(make.section(0x10, newer)), make.file(make.section(0x10, older)))
    choice = choose.gop_for(contents.read(data), (0x9BC8,))
    assert choice.driver.data == newer
    assert "9.0.1080" in choice.warnings[0]


def test_unreadable_table_is_taken_alone_with_a_warning(make: types.ModuleType) -> None:
    blind = make.gop(())
    choice = choose.gop_for(contents.read(image(make, make.section(0x10, blind))), (0x9BC8,))
    assert choice.driver.data == blind
    assert "cannot be read" in choice.warnings[0]
    with pytest.raises(errors.RomError, match="no GOP driver here serves 8086:46a6"):
        the_gop(image(make, make.section(0x10, blind)), 0x46A6)


def test_newer_id_of_the_same_generation_is_warned_about(make: types.ModuleType, gop: bytes) -> None:
    choice = choose.gop_for(contents.read(image(make, make.section(0x10, gop))), (0x9BE6,))
    assert choice.driver.data == gop
    assert "not in the table" in choice.warnings[0]


def test_bytes_behind_the_pe_are_the_drivers(make: types.ModuleType, gop: bytes) -> None:
    kept = gop + b"signature"
    choice = choose.gop_for(contents.read(image(make, make.section(0x10, kept))), (0x9BC8,))
    assert choice.driver.data == kept
    assert "9 bytes follow" in choice.warnings[0]


def test_driver_by_name_and_by_guid(make: types.ModuleType) -> None:
    guid = uuid.UUID(int=0x1234)
    video = make.pe(body=b"video" * 200)
    data = make.volume(make.file(make.joined(make.section(0x10, video), make.ui("QemuVideoDxe")), guid=guid))
    for name in ("qemuvideodxe", str(guid), str(guid).upper()):
        assert choose.named(contents.read(data, wanted=name), name).driver.data == video
    with pytest.raises(errors.RomError, match="no driver Nobody"):
        choose.named(contents.read(data, wanted="Nobody"), "Nobody")


def test_vbt_without_gop(make: types.ModuleType) -> None:
    table = make.vbt()
    lies = b"$VBT in code" + bytes(100) + table[:20] + bytes(60)
    body = make.joined(make.section(0x19, lies + table), make.section(0x19, table))
    found = contents.read(image(make, body, kind=2))
    assert [(one.platform, one.version) for one in found.vbts] == [("COMETLAKE", 100)]
    assert not found.gops
    bent = bytearray(table)
    bent[40] ^= 1
    assert not contents.read(image(make, make.section(0x19, bytes(bent)), kind=2)).vbts


def test_fsp_is_told(make: types.ModuleType) -> None:
    head = make.section(0x19, b"FSPH" + bytes(68))
    found = contents.read(make.volume(make.file(head, kind=1)))
    assert found.fsp
    with pytest.raises(errors.RomError, match="an Intel FSP holds no DXE GOP"):
        choose.gop_for(found, (0x9BC8,))


@pytest.mark.parametrize("name", ["LZMA", "LZMA-F86", "Brotli", "GZip", "zstd", "EFI 1.1", "LZMA section"])
def test_corrupt_compression_is_reported(make: types.ModuleType, gop: bytes, name: str) -> None:
    section = packers(make)[name](make.section(0x10, gop))  # type: ignore[operator]
    cut = bytearray(section)
    cut[len(cut) // 2 :] = b"\x5a" * (len(cut) - len(cut) // 2)
    found = contents.read(image(make, bytes(cut)))
    assert not found.whole
    assert found.at_level(tree.Level.DAMAGE)
    with pytest.raises(errors.RomError, match=r"not all could be read|damaged"):
        choose.gop_for(found, (0x9BC8,))


def test_lzma_of_unannounced_size(make: types.ModuleType, gop: bytes) -> None:
    unknown = (1 << 64) - 1
    stream = make.lzma_alone(make.section(0x10, gop), announce=unknown)
    assert the_gop(image(make, make.guided(make.LZMA, stream))) == gop
    assert not contents.read(image(make, make.guided(make.LZMA, stream[:-20]))).whole
    with pytest.raises(budget.LimitError):
        contents.read(image(make, make.guided(make.LZMA, make.lzma_alone(bytes(100 << 20), announce=unknown))))


def test_vendors_own_sections_do_not_hide_a_stream(make: types.ModuleType, gop: bytes) -> None:
    body = make.joined(make.section(0x20, b"code"), make.section(0xF0, b"code"), make.section(0x10, gop))
    for wide in (False, True):
        pack = tiano._extension().TianoCompress if wide else tiano._extension().EfiCompress
        packed = make.section(1, struct.pack("<IB", len(body), 1) + pack(body, len(body)))
        assert the_gop(image(make, packed)) == gop


def test_lzma_that_ends_before_its_announced_size(make: types.ModuleType, gop: bytes) -> None:
    body = make.section(0x10, gop)
    found = contents.read(image(make, make.guided(make.LZMA, make.lzma_alone(body, announce=len(body) + 10))))
    assert "cut off" in found.at_level(tree.Level.DAMAGE)[0].text


def test_driver_in_a_file_with_a_wrong_checksum_is_refused(make: types.ModuleType, gop: bytes) -> None:
    data = bytearray(image(make, make.section(0x10, gop)))
    at = bytes(data).find(gop[2000:2100])
    data[at + 50] ^= 0x01
    with pytest.raises(errors.RomError, match="checksum is wrong"):
        the_gop(bytes(data))


def test_raw_pe_outside_any_structure_is_found(make: types.ModuleType, gop: bytes) -> None:
    found = contents.read(image(make, make.ui("x")) + b"MZ" * 9 + gop + b"\xff" * 99)
    assert [(d.data, d.form) for d in found.gops] == [(gop, "PE in raw data")]
    assert "outside any file" in choose.gop_for(found, (0x9BC8,)).warnings[0]


def test_name_outside_a_program_is_a_note(make: types.ModuleType) -> None:
    found = contents.read(image(make, make.section(0x19, make.NAME.encode("utf-16-le")), kind=2))
    assert not found.gops
    assert "outside any program" in found.problems[0].text


def test_nonsense_lengths_end(make: types.ModuleType, gop: bytes) -> None:
    whole = image(make, make.section(0x10, gop))
    for at, value in ((32, 1 << 40), (32, 10), (32, 72)):
        bent = bytearray(whole)
        struct.pack_into("<Q", bent, at, value)
        contents.read(bytes(bent))
    bent = bytearray(whole)
    bent[72 + 20 : 72 + 23] = b"\xf0\xff\xff"
    assert not contents.read(bytes(bent)).whole
    bent = bytearray(whole)
    bent[96:99] = b"\1\0\0"
    assert not contents.read(bytes(bent)).whole


def test_many_false_volume_marks_end_quickly() -> None:
    started = time.process_time()
    with pytest.raises(budget.LimitError, match="too many structures"):
        contents.read(b"_FVH" * (1 << 20))
    assert time.process_time() - started < 5


@pytest.mark.parametrize("kind", ["announced", "real", "nested", "zstd", "gzip", "brotli", "zip", "tiano"])
def test_bombs_are_refused(make: types.ModuleType, kind: str) -> None:
    zeros = bytes(100 << 20)
    match kind:
        case "announced":
            data = image(make, make.guided(make.LZMA, make.lzma_alone(bytes(1000), announce=1 << 40)))
        case "real":
            data = image(make, make.guided(make.LZMA, make.lzma_alone(zeros)))
        case "nested":
            part = make.guided(make.LZMA, make.lzma_alone(make.section(0x19, bytes(60 << 20), large=True)))
            data = image(make, make.joined(*[part] * 8))
        case "zstd":
            data = image(make, make.guided(uuid.UUID(int=7), zstandard.compress(zeros)))
        case "gzip":
            data = image(make, make.guided(make.GZIP, make.gz(zeros)))
        case "brotli":
            data = image(
                make, make.guided(make.BROTLI, make.brotli_section(brotli.compress(zeros, quality=1), len(zeros)))
            )
        case "zip":
            data = zipped({"a": zeros})
        case _:
            data = image(
                make, make.section(1, struct.pack("<IB", 0, 1) + struct.pack("<II", 10, 0xFFFFFFFF) + bytes(10))
            )
    started = time.process_time()
    if kind in ("nested", "zstd", "gzip"):  # really expanded, up to the limit
        with pytest.raises(budget.LimitError):
            contents.read(data)
    else:  # the announced size alone tells: nothing is expanded, and the rest is read
        found = contents.read(data)
        assert not found.whole
        assert "would expand to" in found.at_level(tree.Level.DAMAGE)[0].text
        with pytest.raises(errors.RomError, match=r"not all could be read: .*would expand to"):
            choose.gop_for(found, (0x9BC8,))
    assert time.process_time() - started < 2


def test_depth_ends(make: types.ModuleType) -> None:
    data = make.ui("x")
    for _ in range(40):
        data = make.section(0x17, make.volume(make.file(data, checked=False)))
    with pytest.raises(budget.LimitError, match="deep"):
        contents.read(make.volume(make.file(data, checked=False)))


def test_a_rom_is_read_as_one(make: types.ModuleType, gop: bytes) -> None:
    options = build.Options(vendor=0x8086, devices=(0x9BC8,), compress=True)
    found = contents.read(build.rom((gop,), options, legacy=make.legacy()))
    assert found.kind == "rom"
    assert found.gops[0].data == gop
    assert [one.code_type for one in found.images] == [0, 3]


def test_what_is_nothing() -> None:
    for data in (
        b"",
        b"hello",
        bytes(5000),
        b"\xff" * 5000,
        b"MZ" + bytes(100),
        b"PK\3\4 no zip",
        b"\x55\xaa" + bytes(50),
    ):
        found = contents.read(data)
        assert found.kind == "unknown"
        assert not found.whole
        with pytest.raises(errors.RomError, match="no Intel GOP"):
            choose.gop_for(found, (0x9BC8,))


def test_tree_covers_the_input(make: types.ModuleType, gop: bytes) -> None:
    data = b"\xff" * 4096 + image(make, make.section(0x10, gop)) + b"raw" * 500
    nodes = contents.read(data).nodes
    assert [node.kind for node in nodes] == ["padding", "volume", "raw data"]
    assert sum(node.size for node in nodes) == len(data)
