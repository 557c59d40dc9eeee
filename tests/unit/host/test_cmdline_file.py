"""/etc/kernel/cmdline is the user's: whatever is done to it is done once, undone to the byte, and touches no token of theirs."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from transom.host import cmdline_file, kernel_args

TOKENS = ["quiet", "iommu=pt", "intel_iommu=on", 'dyndbg="file a +p"', "memmap=1G$4G", "a", "console=ttyS0,115200n8"]
LINES = st.builds(
    lambda parts, end: "root=ZFS=rpool/ROOT/pve-1" + "".join(parts) + end,
    st.lists(st.sampled_from([" ", "  ", "\t", *(f" {token}" for token in TOKENS), ' x="y z"']), max_size=8),
    st.sampled_from(["", "\n", " \n", "\n\n"]),
)
STEPS = st.lists(st.lists(st.sampled_from(TOKENS), unique=True, max_size=4), max_size=6)


def tokens(text: str) -> tuple[str, ...]:
    return kernel_args.split(text.partition("\n")[0])


@given(text=LINES, wishes=STEPS)
@settings(max_examples=600)
def test_any_sequence_of_edits_is_idempotent_and_undone_to_the_byte(text, wishes):
    """``owned`` as the ledger keeps it: what a step added; what was there before is never owned."""
    now, owned = text, frozenset()
    for wanted in wishes:
        there = set(tokens(text))
        before = now
        now = cmdline_file.edit(before, owned, tuple(wanted))
        owned = frozenset(wanted) - there
        assert cmdline_file.edit(now, owned, tuple(wanted)) == now
        assert set(tokens(now)) == there | set(wanted)
        assert now.startswith(text.partition("\n")[0])
    assert cmdline_file.edit(now, owned, ()) == text
