"""The words everything else is written in: facts, drift, findings, the ledger. Frozen values; no behaviour beyond look-ups.

Shapes are JSON-dumpable (``to_json`` / ``from_json``): golden cases, the store and the API all use the same form.
"""

from __future__ import annotations

from transom.model.facts import (
    Absent,
    Armed,
    Boot,
    ClusterGuest,
    Drained,
    Esp,
    Facts,
    GuestFile,
    GuestState,
    Hardware,
    HeldStart,
    HostFile,
    Keeping,
    LeftStopped,
    LoaderSign,
    PciDevice,
    PciMapping,
    RolledBack,
    RomResult,
    Space,
    Standing,
    Started,
    Supplies,
    Vital,
    Votes,
)
from transom.model.form import from_json, to_json
from transom.model.oneshot import EspRoom, Firmware, OneShot
from transom.model.outcome import Drift, Entry, Evidence, Finding, Noop
from transom.model.words import COST, Impact, Level, Maybe, Step, Unknown, Who

__all__ = [
    "COST",
    "Absent",
    "Armed",
    "Boot",
    "ClusterGuest",
    "Drained",
    "Drift",
    "Entry",
    "Esp",
    "EspRoom",
    "Evidence",
    "Facts",
    "Finding",
    "Firmware",
    "GuestFile",
    "GuestState",
    "Hardware",
    "HeldStart",
    "HostFile",
    "Impact",
    "Keeping",
    "LeftStopped",
    "Level",
    "LoaderSign",
    "Maybe",
    "Noop",
    "OneShot",
    "PciDevice",
    "PciMapping",
    "RolledBack",
    "RomResult",
    "Space",
    "Standing",
    "Started",
    "Step",
    "Supplies",
    "Unknown",
    "Vital",
    "Votes",
    "Who",
    "from_json",
    "to_json",
]
