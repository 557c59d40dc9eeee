"""modprobe's configuration, read as kmod reads it."""

from __future__ import annotations

from transom.lab import kmod


def test_of_two_ids_the_later_wins_and_the_command_line_is_last() -> None:
    texts = ["options vfio-pci ids=10de:1bb3 disable_vga=1\n", "options vfio_pci ids=8086:9bc8\n"]
    config = kmod.parse(texts)
    assert config.value("vfio_pci", "ids") == "8086:9bc8"
    assert config.value("vfio_pci", "disable_vga") == "1"
    assert kmod.parse(texts, "quiet vfio-pci.ids=8086:a3f0").value("vfio_pci", "ids") == "8086:a3f0"


def test_files_are_read_by_base_name_and_etc_hides_the_same_name_elsewhere() -> None:
    paths = [
        "/usr/lib/modprobe.d/b.conf",
        "/etc/modprobe.d/zz.conf",
        "/etc/modprobe.d/b.conf",
        "/etc/modprobe.d/a.conf~",
    ]
    assert kmod.order(paths) == ["/etc/modprobe.d/b.conf", "/etc/modprobe.d/zz.conf"]


def test_the_articles_blacklist_with_its_odd_blanks_counts() -> None:
    config = kmod.parse(["blacklist snd_hda_intel \n blacklist snd_hda_codec_hdmi \n blacklist i915\n"])
    assert config.blacklist == {"snd_hda_intel", "snd_hda_codec_hdmi", "i915"}


def test_a_backslash_joins_lines_and_a_comment_needs_the_first_place() -> None:
    config = kmod.parse(["options vfio-pci \\\n ids=8086:9bc8\n# blacklist i915\nblacklist xe # not a comment\n"])
    assert config.value("vfio_pci", "ids") == "8086:9bc8"
    assert config.blacklist == {"xe"}


def test_the_command_line_blacklists_for_kmod_and_for_the_kernel() -> None:
    config = kmod.parse([], "modprobe.blacklist=i915,snd-hda-intel module_blacklist=xe")
    assert config.blacklist == {"i915", "snd_hda_intel"}
    assert config.forbidden == {"xe"}


def test_softdep_takes_the_modules_before_only() -> None:
    config = kmod.parse(["softdep i915 pre: vfio-pci drm post: snd_hda_intel\n"])
    assert config.pre("i915") == ("vfio_pci", "drm")


def test_showconfig_reads_back_the_same() -> None:
    text = "blacklist i915\noptions vfio_pci ids=8086:9bc8\nsoftdep i915 pre: vfio_pci\ninstall xe /bin/false\nalias pci:v* nvme\n"
    config = kmod.parse([text])
    assert kmod.parse(["\n".join(kmod.render(config))]) == config
