"""How drift reads: every row with since when and why; text from nodes stays text."""

from __future__ import annotations

import pytest

from transom.reconcile import backend
from transom.report import drift_text

DAY = 86400.0
DRIFT = {
    "path": "qemu/1/vga",
    "desired": "none",
    "observed": None,
    "level": "persisted",
    "impact": "guest-restart",
    "why": "w",
}
FINDING = {
    "id": "acs-override",
    "summary": "isolation is <b>not</b> [real](x)",
    "remedy": "drop it",
    "evidence": [{"source": "/proc/cmdline", "says": "pcie_acs\n_override"}],
}
ROWS = [
    backend.DriftRow("pve2", "finding", "acs-override pve2", 0.0, 1.0, FINDING, "held", "rejected by eve: <not> now"),
    backend.DriftRow("pve1", "drift", "qemu/1/vga", 100.0, 200.0, DRIFT),
]


def test_text_is_by_node_with_age_and_reason():
    assert drift_text.text(ROWS, now=2 * DAY + 5).splitlines() == [
        "pve1",
        "  drift   qemu/1/vga: nothing instead of none (persisted, guest-restart)  (for 1 d)",
        "          w",
        "pve2",
        "  held: rejected by eve: <not> now",
        "  finding [acs-override] isolation is <b>not</b> [real](x)  (for 2 d)",
        "          /proc/cmdline: pcie_acs",
        "_override",
        "          → drop it",
    ]


def test_markdown_escapes_what_comes_from_nodes():
    report = drift_text.markdown(ROWS, now=DAY)
    assert report.startswith("# Drift at 1970-01-02 00:00:00Z\n\n## pve1\n")
    assert "## pve2\n\nheld: rejected by eve: \\<not\\> now\n\n- **finding**" in report
    assert "isolation is \\<b\\>not\\</b\\> \\[real\\](x), since 1970-01-01 00:00:00Z" in report
    assert "/proc/cmdline: pcie\\_acs \\_override" in report


@pytest.mark.parametrize("write", [drift_text.text, drift_text.markdown])
def test_nothing_is_said_to_differ(write):
    assert "Nothing differs" in write([], now=0.0)


@pytest.mark.parametrize(
    ("age", "said"), [(-5, "0 s"), (59.9, "59 s"), (60, "1 min"), (7199, "1 h"), (DAY - 1, "23 h"), (3.5 * DAY, "3 d")]
)
def test_ages_have_their_largest_unit(age, said):
    assert f"(for {said})" in drift_text.text(ROWS[:1], now=age)
