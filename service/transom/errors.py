"""Everything that can go wrong, as one tree; each class says whether trying again can help.

TransomError
 ├── SpecError      a document is wrong                            never: a person mends it
 ├── Unreachable    no connection, or it was lost                  yes, later, with back-off
 ├── Busy           a lock or a task is in the way                 yes, soon
 ├── Denied         credential, privilege or host key refused      never: stop and alert
 ├── Rejected       the other side refused this very request       never for this plan
 ├── VerifyFailed   applied, but it reads back different           never: stop and alert
 │    └── WentBack  the node is again as it was before the run     never: stop and alert
 ├── Void           the facts have changed since the plan was made plan again
 │    └── VmidTaken another writer took the id of a VM to be made  the next id is tried
 ├── Garbled        an answer that cannot be understood            yes, later; nothing acts on it
 ├── RomError       firmware or option ROM bytes are not as needed never
 ├── SandboxError   the worker has no walls, crashed or met a limit never
 └── Defect         a mistake in Transom itself                    never: stop and tell

Adapters translate once, ``raise … from``. "Held by a gate" is an outcome and has no class here.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from typing import ClassVar


class Retry(enum.Enum):
    """What the worker loop may do after an error."""

    NEVER = "never"
    SOON = "soon"
    LATER = "later"
    REPLAN = "replan"


class TransomError(Exception):
    """The root: ``str()`` is one line that names the thing, the place and the way out."""

    retry: ClassVar[Retry] = Retry.NEVER
    unsure: bool = False
    """A write was sent, and nobody knows whether it was carried out: it is settled by reading, never by sending it again."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.message = message
        self.hint = hint

    def advise(self, hint: str) -> None:
        """Another hint beside its own, by one who knows what the error leaves."""
        self.hint = "; ".join(one for one in (self.hint, hint) if one)
        self.args = (f"{self.message} ({self.hint})",)


@dataclasses.dataclass(frozen=True)
class Mistake:
    """One mistake in a document. ``line`` is 1-based, 0 when no line is to blame; ``path`` is dotted, empty for the whole
    document; ``file`` is empty for what is in no file."""

    file: str
    line: int
    path: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        about = " ".join(word for word in (place, self.path) if word)
        return f"{about}: {self.reason}" if about else self.reason


class SpecError(TransomError):
    """One or more mistakes in documents; ``problems`` holds a line each, all found at once.

    ``rows`` are the same in parts; one that came as a line alone has nothing but its reason.
    """

    def __init__(self, problems: Sequence[str | Mistake]) -> None:
        self.rows = tuple(Mistake("", 0, "", one) if isinstance(one, str) else one for one in problems)
        self.problems = [str(row) for row in self.rows]
        super().__init__("\n".join(self.problems))


class Unreachable(TransomError):
    """The host or its API did not answer, or the line broke; a write under way may have happened: read first."""

    retry = Retry.LATER


class Busy(TransomError):
    """A lock, a running task or another writer holds the thing."""

    retry = Retry.SOON


class Denied(TransomError):
    """A credential, a privilege, a host key or a certificate was refused."""


class Rejected(TransomError):
    """The other side refused the request as such; ``fields`` maps parameter to reason where it said so."""

    def __init__(self, message: str, *, hint: str = "", fields: dict[str, str] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.fields = fields or {}


class VerifyFailed(TransomError):
    """A change was made, and reading it back shows something else."""


class WentBack(VerifyFailed):
    """A change was made, and the node has taken it back by itself."""


class Void(TransomError):
    """The plan no longer fits the facts; plan again."""

    retry = Retry.REPLAN


class VmidTaken(Void):
    """Another writer has taken the VM id that was to be ours; the next free one will do."""


class Garbled(TransomError):
    """An answer was truncated or makes no sense."""

    retry = Retry.LATER


class RomError(TransomError):
    """Firmware or option ROM bytes are not what is needed; ``offset`` is where, when there is a place."""

    def __init__(self, message: str, *, offset: int | None = None, hint: str = "") -> None:
        super().__init__(message if offset is None else f"at 0x{offset:X}: {message}", hint=hint)
        self.offset = offset


class SandboxError(TransomError):
    """The worker could not be walled in, crashed or met a limit; ``stage`` is how far it got."""

    def __init__(self, message: str, *, stage: str = "", hint: str = "") -> None:
        super().__init__(f"{message} (stage: {stage})" if stage else message, hint=hint)
        self.stage = stage


class Defect(TransomError):
    """A mistake in Transom itself: a run, a plan or a node that it meets ends in a state that says so."""
