"""What could not be read, and the words for what a change costs and who makes it."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, TypeVar

import pydantic

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Unknown:
    """What could not be read. Never the same as absent, and nothing acts on it."""

    unknown: str
    """Why it could not be read, in one line."""
    __pydantic_config__ = pydantic.ConfigDict(extra="forbid")


# Unknown first: a mapping would swallow it.
Maybe = Annotated[Unknown | T, pydantic.Field(union_mode="left_to_right")]


class Impact(enum.StrEnum):
    """What a repair costs; ordered from cheap to dear by ``COST``."""

    LIVE = "live"
    GUEST_RESTART = "guest-restart"
    HOST_REBOOT = "host-reboot"
    HUMAN = "human"


COST = {Impact.LIVE: 0, Impact.GUEST_RESTART: 1, Impact.HOST_REBOOT: 2, Impact.HUMAN: 3}


class Level(enum.StrEnum):
    """Where a difference shows: in the files and the PVE configuration, or in what runs."""

    DECLARED = "declared"
    PERSISTED = "persisted"
    EFFECTIVE = "effective"


class Who(enum.StrEnum):
    """Who can repair what a finding names."""

    AUTO = "auto"
    REBOOT = "reboot"
    BIOS = "bios"
    REPORT = "report"
    REFUSE = "refuse"
    ADOPT = "adopt"


class Step(enum.StrEnum):
    """What has to run on a host after its files changed, in this order."""

    TRIAL = "trial"
    INITRAMFS = "initramfs"
    BOOTCONFIG = "bootconfig"
    SYSCTL = "sysctl"
