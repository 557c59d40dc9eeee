"""Bodies as they go over the wire, where ``reconcile.backend`` has no type for them. What comes in is strict."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

import pydantic

from transom import errors, model
from transom.plan import actions as acts
from transom.plan import rehearsal, result

T = TypeVar("T")
M = TypeVar("M", bound=pydantic.BaseModel)


class _In(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True)


class _Out(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True)


# --- in --------------------------------------------------------------------------------------------------------------


class File(_In):
    """One file of documents (YAML, several documents allowed). ``name`` is for messages; an absolute path also says what
    relative paths in the documents are relative to, on the daemon's machine."""

    name: str = pydantic.Field(min_length=1, max_length=4096)
    text: str


class Provision(_In):
    """Documents, as JSON values or as files of YAML; neither means: those that are stored, once more."""

    documents: list[dict[str, Any]] = []
    files: list[File] = []
    approve: Literal["plan"] | None = None
    """``plan`` approves exactly the plans that come of it; the scope ``approver`` is needed then."""


class Reason(_In):
    """Why, for the journal."""

    reason: str = pydantic.Field(default="", max_length=1000)


class Approved(_In):
    """The hash of the plan that was seen."""

    approved: str = pydantic.Field(min_length=1, max_length=64)


class Name(_In):
    """A document, as ``Kind/name`` or, where that is clear, as its name."""

    name: str = pydantic.Field(min_length=1, max_length=253)


class Removal(Name):
    """``confirm`` is the name once more; ``plan`` the hash of the plan that was shown: another one waits."""

    confirm: str = pydantic.Field(max_length=253)
    plan: str = pydantic.Field(default="", max_length=64)


Device = Annotated[str, pydantic.Field(pattern="^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$")]


class RomFile(_In):
    """A BIOS file or driver, and what is to be built of it (`transom rom build`): nothing without ``devices``."""

    name: Annotated[str, pydantic.Field(max_length=255, pattern="^[^\\x00-\\x1f\\x7f/]*$")] = ""
    devices: Annotated[list[Device], pydantic.Field(max_length=256)] = []
    driver: str = pydantic.Field(default="", max_length=255)
    compress: bool = False
    pci23: bool = False
    class_code: str = pydantic.Field(default="", pattern="^[0-9a-fA-F]{0,6}$")
    revision: str = pydantic.Field(default="", pattern="^[0-9a-fA-F]{0,4}$")
    board: str = pydantic.Field(default="", max_length=255)


class RomUpload(RomFile):
    """The query beside a file's bytes."""

    sha256: str = pydantic.Field(default="", pattern="^(?:[0-9a-fA-F]{64})?$")
    url: Literal[""] = ""


class RomPush(RomFile):
    """Where to fetch the file; what comes must hash to ``sha256``."""

    url: str = pydantic.Field(max_length=2048, pattern=r"^https?://[^\s@/?#\\]+(?:[/?][!-~]*)?$")
    sha256: str = pydantic.Field(pattern="^[0-9a-fA-F]{64}$")


class Collect(_In):
    """Which files of the library may go: those that nothing needs and that are older than ``days``."""

    dry_run: bool = True
    days: int = pydantic.Field(default=7, ge=0, le=36500)


# --- out -------------------------------------------------------------------------------------------------------------


class Items(_Out, Generic[T]):
    """A list. ``total`` counts also those that ``limit`` left out."""

    items: list[T]
    total: int


class Document(_Out):
    """A document as it was written, values in their canonical spelling and paths absolute; `transom schema` has the schema of each
    kind."""

    apiVersion: str
    kind: str
    metadata: dict[str, Any]
    spec: dict[str, Any]


class Plan(_Out):
    """What differs on one node, what is wrong, what would be done, and whether it may."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    hash: str
    node: str
    impact: model.Impact
    empty: bool
    """Nothing differs and nothing holds."""
    held: bool
    """Nothing of it may be done."""
    held_documents: dict[str, list[str]]
    """Document → why nothing is done for its VM; others may be seen to all the same."""
    documents: str
    recipes: tuple[str, ...]
    drifts: tuple[model.Drift, ...]
    findings: tuple[model.Finding, ...]
    noops: tuple[model.Noop, ...]
    actions: tuple[acts.Action, ...]
    entries: tuple[model.Entry, ...]
    forgets: tuple[str, ...]
    gates: tuple[result.Gate, ...]
    simulated: rehearsal.Tried | None = None
    """What came of trying it aside, where a preview was asked for that."""


class Run(_Out):
    """One carrying out of a plan. Times are seconds since the epoch."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    id: str
    node: str
    plan: str
    kind: str
    """``apply``, ``adopt``, ``undo``, …"""
    undoes: str
    state: str
    error: str
    started_at: float
    ended_at: float | None


class JournalLine(_Out):
    """One line of a run's journal. ``step`` is 1-based, 0 for the run as a whole."""

    seq: int
    at: float
    step: int
    phase: str
    text: str
    data: Any


class RunWithJournal(Run):
    events: list[JournalLine]


class Pause(_Out):
    """Why no new change starts, who said so, and since when."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    reason: str
    by: str
    at: float


class Status(_Out):
    """How the daemon stands."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    fleet: str
    """Whose nodes these are: the fleet's id, which each node keeps."""
    paused: Pause | None
    fleet_drift: list[str] | None
    """The nodes that newly differed all at once, when that holds all writes."""
    nodes: dict[str, int]
    """How many nodes are in each state."""
    under_way: dict[str, float]
    """Seconds that the present turn of each node has taken so far."""
    open_operations: list[str]
    next_looks: dict[str, float]
    """When each node is looked at next, at the latest."""


class Health(_Out):
    status: Literal["ok"]


class Readiness(_Out):
    """``parts``: store, scheduler → ``ok``, or why it is not."""

    ready: bool
    parts: dict[str, str]


class Whoami(_Out):
    """The token that asked."""

    name: str
    scope: Literal["viewer", "operator", "approver", "admin"]


class ProblemDetails(_Out):
    """RFC 9457. ``type`` ends in the kind of problem; ``retry`` says whether trying again can help."""

    type: str
    title: str
    status: int
    detail: str
    retry: Literal["never", "soon", "later", "replan"]
    hint: str = ""
    problems: list[errors.Mistake] = []
    """All mistakes at once: in documents, or (with an empty ``file`` and ``line`` 0) in what stands at ``path`` of the request."""


class NoPlan(_Out):
    """A node for which no plan could be made, and why."""

    node: str
    problem: ProblemDetails
