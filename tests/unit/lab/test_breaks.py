"""The registry of breaks and its page agree."""

from __future__ import annotations

from pathlib import Path

from transom.lab import breaks


def test_the_page_has_every_break_as_the_registry_has_it() -> None:
    page = (Path(__file__).parents[3] / "docs/lab.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `") and line.endswith(("| yes |", "| no |"))]
    want = [f"| `{one.kind}` | {one.summary} | {'yes' if one.repairable else 'no'} |" for one in breaks.KINDS.values()]
    assert rows == want
