"""The node that Transom itself runs on: known by its kernel, in a container too; nobody but a person reboots it."""

from __future__ import annotations

import pathlib

from transom import model
from transom.reconcile import observe

BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id")


def test_it_is_known_by_its_boot_id():
    assert observe._here(BOOT_ID.read_text().strip()) is True
    assert observe._here("6c4d3a1e-9a5b-4f0e-8a6e-0d3f0c6b7a11") is False
    assert observe._here(model.Unknown("not read")) == model.Unknown("not read")
