"""What a VM may be given of the host, as the probe prints it."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from transom import model
from transom.host.probes import supplies


def test_cpus_pages_and_ports():
    told = b"cpu\ncpu\npages 2048kB\npages 1048576kB\nport /dev/ttyS0\n"
    assert supplies.parse(told) == model.Supplies(2, frozenset({2, 1024}), frozenset({"/dev/ttyS0"}))


def test_a_host_without_cpus_is_nonsense():
    with pytest.raises(ValueError, match="no processor"):
        supplies.parse(b"pages 2048kB\n")


def test_this_machine_has_as_many_cpus_as_its_kernel_says():
    done = subprocess.run(["sh", "-c", supplies.COMMAND], capture_output=True, check=True)
    told = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    assert supplies.parse(done.stdout).cpus == sum(line.startswith("processor") for line in told)
