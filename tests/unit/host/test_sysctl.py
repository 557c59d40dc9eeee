"""What /proc/sys shows, and what it made of the values that were set, by the real shell."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import subprocess

import pytest

from transom.host.probes import sysctl as probe
from transom.host.settings import sysctl

OWN = "# ours\nvm.nr_hugepages = 1024\nnet.ipv4.conf.eno1/10.forwarding = 1\n-vm.swappiness=0x0a"
PROC = {"vm/nr_hugepages": "1010\n", "net/ipv4/conf/eno1.10/forwarding": "1\n", "vm/swappiness": "10\n"}


def run(root: pathlib.Path, command: str) -> bytes:
    inside = re.sub(r"(?<![\w.*}])/(?=(etc|run|proc)/)", f"{root}/", command)
    return subprocess.run(["sh", "-c", inside], capture_output=True, check=True).stdout


def test_what_is_shown_right_after_setting_is_kept_until_the_next_boot(tmp_path, make_facts):
    for path, text in {
        "etc/sysctl.d/zz-transom.conf": OWN,
        **{f"proc/sys/{key}": text for key, text in PROC.items()},
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    now = {"vm.nr_hugepages": "1010", "net.ipv4.conf.eno1/10.forwarding": "1", "vm.swappiness": "10"}
    assert probe.parse(run(tmp_path, probe.COMMAND)) == probe.Sysctl(now, {})
    run(tmp_path, probe.MARK)
    (tmp_path / "proc/sys/vm/nr_hugepages").write_text("0\n")
    seen = probe.parse(run(tmp_path, probe.COMMAND))
    assert seen.now["vm.nr_hugepages"] == "0"
    facts = dataclasses.replace(make_facts(sysctl=seen.now), sysctl_set=seen.set)
    told = {item: (sysctl.effective(item, facts), sysctl.kept_otherwise(item, facts)) for item in sysctl.given(OWN)}
    assert told == {
        "vm.nr_hugepages=1024": (False, True),
        "net.ipv4.conf.eno1/10.forwarding=1": (True, False),
        "vm.swappiness=0x0a": (True, False),
    }
    (tmp_path / "etc/sysctl.d/zz-transom.conf").unlink()
    run(tmp_path, probe.MARK)
    assert not (tmp_path / "run/transom-sysctl").exists()


def test_a_node_without_a_file_of_ours_has_nothing(tmp_path):
    assert probe.parse(run(tmp_path, probe.COMMAND)) == probe.Sysctl({}, {})
    with pytest.raises(ValueError, match="no setting"):
        probe.parse(b"vm.swappiness\n")
