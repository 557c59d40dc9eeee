"""A cluster that lost its quorum after the plan was made gets no write; steps of the host alone ask nobody."""

from __future__ import annotations

import dataclasses
import types
from typing import Any

import pytest

from transom import errors
from transom.plan import actions as acts
from transom.plan import guest_actions, result
from transom.reconcile import effect as eff
from transom.reconcile import engine


@dataclasses.dataclass
class Api:
    """Says how the cluster stands, once for each look; any other call fails the test."""

    quorate: list[bool]

    def cluster_status(self) -> Any:
        return types.SimpleNamespace(quorate=self.quorate.pop(0))


def carry_out(action: acts.Action, api: Api, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The journal's phases; the step itself is one that only says that it was reached."""
    told: list[str] = []
    reached = types.SimpleNamespace(prepare=lambda *_: None, apply=lambda *_: "reached")
    monkeypatch.setattr(engine, "STEPS", {type(action): reached})
    plan = result.Plan("pve1", "", actions=(action,))
    world: Any = types.SimpleNamespace(api=api)
    try:
        engine.carry_out(plan, world, eff.Context("r", "b"), lambda _step, phase, _text, _data: told.append(phase))
    except errors.Void as error:
        told.append(error.message)
    return told


GUEST = guest_actions.RestartGuest(100, ("memory",))
HOST = acts.RemoveRom("a.rom", "0" * 64)


def test_with_quorum_the_step_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    assert carry_out(GUEST, Api([True]), monkeypatch) == ["before", "after"]


def test_without_it_nothing_is_even_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert carry_out(GUEST, Api([False]), monkeypatch) == ["failed", "cluster not ready - no quorum?"]


def test_a_step_of_the_host_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert carry_out(HOST, Api([]), monkeypatch) == ["before", "after"]


def test_every_action_is_of_the_host_or_of_the_cluster() -> None:
    assert set(engine._OF_THE_HOST) < set(engine.STEPS)
    assert {kind.__name__ for kind in set(engine.STEPS) - set(engine._OF_THE_HOST)} >= {
        "CreateGuest", "ChangeGuest", "RestartGuest", "DestroyGuest",
    }  # fmt: skip
