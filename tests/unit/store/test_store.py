"""What is put comes back; what is kept stays; tables and migrations agree."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import tempfile

import pytest
from alembic import autogenerate
from alembic.runtime import migration
from hypothesis import given, settings
from hypothesis import strategies as st

from transom import errors, model
from transom.store import connect, records, store, tables

TEXT = st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
TIME = st.floats(0, 4e9)
PLAN = "a" * 64
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def kept():
    with tempfile.TemporaryDirectory() as folder:
        opened = store.open_store(pathlib.Path(folder))
        opened.put_plan(PLAN, "pve1", {}, 1.0)
        yield opened
        opened.close()


def _run(name: str, **changes: object) -> records.Run:
    base = records.Run(name, "pve1", PLAN, "apply", "", records.RUNNING, "", "", {}, 1.0, None)
    return records.Run(**{**vars(base), **changes})  # type: ignore[arg-type]


@settings(max_examples=40)
@given(content=st.dictionaries(TEXT, JSON, max_size=4), node=TEXT)
def test_a_plan_comes_back_and_its_hash_is_taken_once(kept, content, node):
    # The store outlives the examples, so each has a hash of its own.
    hash = f"{next(NUMBERS):064x}"
    kept.put_plan(hash, node, content, 5.0)
    kept.put_plan(hash, "other", {"other": 1}, 6.0)
    assert kept.plan(hash) == records.StoredPlan(hash, node, content, 5.0)


@settings(max_examples=40)
@given(
    data=JSON, text=TEXT, phase=TEXT, step=st.integers(0, 1000), at=TIME, ledger=st.dictionaries(TEXT, JSON, max_size=3)
)
def test_runs_and_events(kept, data, text, phase, step, at, ledger):
    name = f"r{len(kept.runs())}"
    started = _run(name, ledger_before=ledger, started_at=at)
    kept.start_run(started)
    assert kept.run(name) == started
    kept.append(name, step, phase, text, data, at)
    kept.append(name, step, phase, text, None, at)
    assert kept.events(name) == [
        records.Event(name, 1, at, step, phase, text, data),
        records.Event(name, 2, at, step, phase, text, None),
    ]
    kept.end_run(name, records.FAILED, at + 1, text)
    kept.mark_undone(name)
    ended = kept.run(name)
    assert ended is not None
    assert (ended.state, ended.error, ended.ended_at) == (records.UNDONE, text, at + 1)


@settings(max_examples=40)
@given(path=st.text(min_size=1, max_size=20), values=st.lists(st.none() | TEXT, min_size=3, max_size=3))
def test_the_first_before_of_the_ledger_stays(kept, path, values):
    before, applied, later = values
    kept.reset_ledger("pve1", {path: None})
    kept.put_ledger([model.Entry("pve1", path, before, applied, "Node/pve1", "r1")])
    kept.put_ledger([model.Entry("pve1", path, "never this", later, "Node/other", "r2")])
    assert kept.ledger("pve1")[path] == model.Entry("pve1", path, before, later, "Node/other", "r2")
    assert path not in kept.ledger("pve2")
    kept.drop_ledger("pve1", [path])
    assert path not in kept.ledger("pve1")


def test_documents_keep_their_order_and_are_replaced_by_name(kept):
    def document(name: str, value: int) -> dict[str, object]:
        return {"document": {"kind": "Node", "metadata": {"name": name}, "spec": value}, "origin": "x.yaml:1"}

    kept.put_documents([document("b", 1), document("a", 1)], 1.0)
    kept.put_documents([document("b", 2), document("c", 1)], 2.0)
    assert kept.documents() == [document("b", 2), document("a", 1), document("c", 1)]


def test_runs_come_newest_first_and_by_node(tmp_path):
    kept = store.open_store(tmp_path)
    kept.put_plan(PLAN, "pve1", {}, 1.0)
    for number, node in enumerate(("pve1", "pve2", "pve1")):
        kept.start_run(_run(f"r{number}", node=node, started_at=float(number)))
    assert [run.id for run in kept.runs()] == ["r2", "r1", "r0"]
    assert [run.id for run in kept.runs("pve1")] == ["r2", "r0"]
    assert [run.id for run in kept.runs("pve1", since=0.0)] == ["r2"]
    assert [run.id for run in kept.runs(plan=PLAN, state="running")] == ["r2", "r1", "r0"]
    assert kept.runs("pve1", state="failed") == kept.runs(kind="none") == kept.runs(plan="none") == []
    newest = kept.newest_run("pve1")
    assert (newest and newest.id, kept.newest_run("pve9")) == ("r2", None)
    assert kept.run("none") is None
    kept.close()


def test_migrations_lead_to_the_tables_of_the_code(tmp_path):
    engine = connect.open_engine(tmp_path / "x.db")
    with connect.read(engine) as db:
        context = migration.MigrationContext.configure(db)
        assert autogenerate.compare_metadata(context, tables.metadata) == []
        assert context.get_current_heads() == (connect.HEAD,)
    engine.dispose()


def test_a_folder_with_a_percent_sign(tmp_path):
    store.open_store(tmp_path / "100%s").close()
    assert (tmp_path / "100%s" / store.FILE).exists()


def test_a_move_in_the_ledger_and_its_line_in_the_journal_are_one(kept):
    kept.reset_ledger("pve1", dict.fromkeys(kept.ledger("pve1")))
    kept.start_run(_run("mover"))
    paths = ("qemu/(a)", "qemu/(a)/cores", "qemu/(ab)", "qemu/7", "qemu/7/tags", "qemu/70")
    kept.put_ledger([model.Entry("pve1", path, path, None, "d", "mover") for path in paths])
    kept.move_ledger("pve1", "qemu/(a)", "qemu/7", "mover", "vmid", "a gets 7", {"is": "qemu/7"}, 3.0)
    after = {
        "qemu/(ab)": "qemu/(ab)",
        "qemu/7": "qemu/(a)",
        "qemu/7/cores": "qemu/(a)/cores",
        "qemu/70": "qemu/70",
    }
    assert {path: entry.before for path, entry in kept.ledger("pve1").items()} == after
    assert kept.events("mover") == [records.Event("mover", 1, 3.0, 0, "vmid", "a gets 7", {"is": "qemu/7"})]
    with pytest.raises(errors.TransomError, match="FOREIGN KEY"):
        kept.move_ledger("pve1", "qemu/7", "rom/x", "no such run", "vmid", "", None, 4.0)
    assert {path: entry.before for path, entry in kept.ledger("pve1").items()} == after


def test_one_key_of_one_asker_is_one_operation(tmp_path):
    kept = store.open_store(tmp_path)
    first = records.Operation("op-1", "provision", "", "eve", 1.0, "k", "c")
    text = {"document": {"kind": "Node", "metadata": {"name": "a"}}, "origin": "x.yaml:1"}
    assert kept.operations.ask(first, [records.Share("op-1", "pve1", 1, approve=True)], [text]) == first
    again = records.Operation("op-2", "provision", "", "eve", 2.0, "k", "other")
    assert kept.operations.ask(again, [records.Share("op-2", "pve1", 1)], [{**text, "origin": "y"}]) == first
    assert kept.operations.get("op-2") is None
    assert kept.documents() == [text]
    for asker, key, id in (("adam", "k", "op-3"), ("eve", None, "op-4"), ("eve", None, "op-5")):
        other = records.Operation(id, "provision", "", asker, 3.0, key, "c")
        assert kept.operations.ask(other, []) == other
    assert kept.operations.by_key("eve", "k") == first
    kept.close()


def test_open_shares_come_in_the_order_in_which_they_were_asked_for(tmp_path):
    kept = store.open_store(tmp_path)
    for number, id in enumerate(("op-b", "op-a", "op-c")):
        operation = records.Operation(id, "provision", "", "eve", float(number))
        kept.operations.ask(operation, [records.Share(id, node, at) for at, node in enumerate(("pve2", "pve1"), 1)])
    assert [operation.id for operation, _ in kept.operations.open("pve1")] == ["op-b", "op-a", "op-c"]
    assert [share.node for share in kept.operations.shares("op-a")] == ["pve2", "pve1"]
    (_, share), *_ = kept.operations.open("pve1")
    kept.operations.change_share(share, lambda now: dataclasses.replace(now, state=records.DONE), drop=["Node/none"])
    _, left = kept.operations.change_share(share, lambda now: dataclasses.replace(now, state=records.QUEUED))
    assert left.state == records.DONE  # what has ended stays so
    assert [operation.id for operation, _ in kept.operations.open("pve1")] == ["op-a", "op-c"]
    assert len(kept.operations.open()) == 5
    kept.close()


def test_an_approval_and_who_follows_it_are_one(kept):
    def row(state: str) -> records.Proposal:
        return records.Proposal("b" * 16, "pve1", "apply", state, "live", "s", "r", "", None, 1.0)

    kept.put_plan("b" * 16, "pve1", {}, 1.0)
    kept.proposals.change("b" * 16, lambda _: row(records.WAITING))
    operation = records.Operation("op-one", "approve", "b" * 16, "eve", 1.0)
    share = records.Share("op-one", "pve1", 1)
    kept.operations.approve("b" * 16, lambda _: row(records.APPROVED), operation, [share])
    assert (kept.proposals.get("b" * 16).state, kept.operations.shares("op-one")) == (records.APPROVED, [share])
    kept.proposals.change("b" * 16, lambda _: row(records.WAITING))
    with pytest.raises(errors.TransomError):  # an operation of that id is there
        kept.operations.approve("b" * 16, lambda _: row(records.APPROVED), operation, [share])
    assert kept.proposals.get("b" * 16).state == records.WAITING
    moved = dataclasses.replace(share, state=records.RUNNING)
    kept.operations.approve("b" * 16, lambda _: row(records.APPROVED), None, [moved])
    assert kept.operations.shares("op-one") == [moved]


def test_the_beginning_of_a_run_spends_the_approval_or_does_not_take_place(kept):
    approved = records.Proposal("b" * 16, "pve1", "apply", records.APPROVED, "live", "s", "r", "eve", 1.0, 1.0)
    kept.put_plan("b" * 16, "pve1", {}, 1.0)
    kept.proposals.change("b" * 16, lambda _: approved)
    kept.meta.put("paused", {"reason": "x"})

    def never(moment: records.Moment) -> None:
        assert (moment.proposal, moment.meta) == (approved, {"paused": {"reason": "x"}})
        raise errors.Void("not now")

    with pytest.raises(errors.Void):
        kept.start_run(dataclasses.replace(_run("spends-0"), plan="b" * 16), never)
    assert (kept.proposals.get("b" * 16), kept.run("spends-0")) == (approved, None)
    for name in ("spends-1", "spends-2"):
        kept.start_run(dataclasses.replace(_run(name), plan="b" * 16))
        assert (kept.proposals.get("b" * 16).run, kept.proposals.get("b" * 16).open) == ("spends-1", False)


def test_drift_keeps_its_since_until_it_goes(tmp_path):
    kept = store.open_store(tmp_path)
    rows = [records.Drift("pve1", "drift", key, at, at, {"at": at}) for key in "ab" for at in (1.0, 2.0)]
    for row in rows:
        kept.drift.change([], [row])
    assert [(row.key, row.since, row.seen, row.detail) for row in kept.drift.all("pve1")] == [
        ("a", 1.0, 2.0, {"at": 2.0}),
        ("b", 1.0, 2.0, {"at": 2.0}),
    ]
    kept.drift.change([rows[0]], [records.Drift("pve2", "drift", "c", 3.0, 3.0, {})])
    assert [(row.node, row.key) for row in kept.drift.all()] == [("pve1", "b"), ("pve2", "c")]
    kept.nodes.put(records.Node("pve1", accepted="f", versions={"x": "1"}))
    kept.nodes.accept_nothing("pve1")
    assert kept.nodes.get("pve1") == records.Node("pve1", versions={"x": "1"})
    kept.nodes.drop("pve1")
    assert [row.node for row in kept.drift.all()] == ["pve2"]
    assert kept.nodes.get("pve1") == records.Node("pve1")
    kept.close()


def test_single_values(tmp_path):
    kept = store.open_store(tmp_path)
    assert kept.meta.get("fleet") is None
    assert [kept.meta.put_first("fleet", "a"), kept.meta.put_first("fleet", "b")] == ["a", "a"]
    assert [kept.meta.raise_to("g", least) for least in (1, 1, 9, 1)] == [1, 2, 9, 10]
    kept.meta.put("fleet", None)
    assert kept.meta.put_first("fleet", "c") == "c"
    kept.close()


def test_documents_that_go_leave_the_others_and_move_the_stamp(tmp_path):
    kept = store.open_store(tmp_path)
    texts = [{"document": {"kind": "Node", "metadata": {"name": name}}} for name in "ab"]
    stamps = [kept.documents_stamp()]
    kept.put_documents(texts, 1.0)
    stamps.append(kept.documents_stamp())
    kept.put_documents(texts[:1], 2.0)
    stamps.append(kept.documents_stamp())
    kept.operations.ask(records.Operation("op", "release", "Node/b", "eve", 3.0), [], drop=["Node/b"])
    stamps.append(kept.documents_stamp())
    assert kept.documents() == texts[:1]
    assert len(set(stamps)) == 4
    kept.close()
