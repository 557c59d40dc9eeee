"""The ledger's copy on a node, held against the store's."""

from __future__ import annotations

import hashlib

from transom import model
from transom.reconcile import mirror

LEDGER = {"rom/x": model.Entry("pve1", "rom/x", None, "a", "Rom/x", "run1")}


def keeping(data):
    return model.Keeping(ledger_sha256=hashlib.sha256(data).hexdigest())


def test_the_same_ledger_or_no_copy_is_nothing_to_say():
    assert mirror.differs(keeping(mirror.render(LEDGER)), LEDGER) is None
    assert mirror.differs(model.Keeping(), LEDGER) is None


def test_another_ledger_is_a_note_that_does_not_hold():
    for data, ledger in ((mirror.render({}), LEDGER), (mirror.render(LEDGER), {})):
        note = mirror.differs(keeping(data), ledger)
        assert note is not None
        assert (note.id, note.holds) == ("ledger-differs", False)
