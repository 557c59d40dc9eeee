"""What a look at a node showed its user: a plan, or why there is none; the same with and without a daemon."""

from __future__ import annotations

import dataclasses
from typing import Any

from transom import errors
from transom.cli import common
from transom.plan import rehearsal, result
from transom.report import plan_text


@dataclasses.dataclass(frozen=True)
class Look:
    """A node's plan, or why there is none: one node that cannot be reached hides no other."""

    node: str
    plan: result.Plan | None = None
    error: errors.TransomError | None = None
    tried: rehearsal.Tried | None = None
    """What came of trying the plan aside, where that was asked for."""

    @property
    def data(self) -> dict[str, Any]:
        """For ``--json``."""
        return (
            plan_text.as_data(self.plan, self.tried)
            if self.plan
            else {"node": self.node, **(common.error_data(self.error) if self.error else {})}
        )

    def code(self, *, detailed: bool = False) -> int:
        """``detailed``: 2 when there are changes. 1 when the plan was tried aside and fails."""
        if self.plan is None:
            return common.exit_code(self.error)
        if self.plan.held:
            return common.HELD
        if self.tried is not None and self.tried.ok is False:
            return 1
        return common.CHANGES if detailed and not self.plan.empty else 0

    def need(self) -> result.Plan:
        """The plan; raises the error when there is none."""
        if self.error is not None:
            raise self.error
        assert self.plan is not None
        return self.plan

    def text(self, *, verbose: bool = False) -> str:
        return (
            plan_text.text(self.plan, self.tried, verbose=verbose) if self.plan else f"Node {self.node}: {self.error}\n"
        )

    def shell(self, **access: str) -> str:
        """As the commands that a person would type; ``access`` as ``plan_text.shell`` takes it."""
        return plan_text.shell(self.plan, **access) if self.plan else f"# Node {self.node}: {self.error}\n"
