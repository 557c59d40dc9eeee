"""How a plan reads: what differs, what holds, and shell commands that do what they say."""

from __future__ import annotations

import subprocess

import pytest

from transom import model
from transom.plan import actions as acts
from transom.plan import guest_actions, result
from transom.report import plan_text

DRIFT = model.Drift(
    "host/modules/vfio", "vfio", None, model.Level.PERSISTED, model.Impact.HOST_REBOOT, "Node/pve1", "why"
)
FINDING = model.Finding(
    "vtd-off", "node", "VT-d is off", "Enable it.", model.Who.BIOS, (model.Evidence("/sys/x", "missing"),), holds=True
)


def test_an_empty_plan_says_so_in_one_line():
    assert plan_text.text(result.Plan("pve1", "d")) == "Node pve1: as declared\n"


def test_what_holds_is_said_first_with_evidence_and_remedy():
    gate = result.Gate("vtd-off", False, "vtd-off: VT-d is off")
    text = plan_text.text(result.Plan("pve1", "d", drifts=(DRIFT,), findings=(FINDING,), gates=(gate,)))
    assert text.startswith("Node pve1: held by vtd-off\n")
    assert "/sys/x: missing" in text
    assert "→ Enable it." in text
    assert "+ host/modules/vfio: vfio  [persisted, host-reboot]  (why)" in text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "a\n"),
        ("x\n", "EOF\n'quoted' $HOME `id`\nEOF_\n"),
        ("no newline", "still none"),
        ("cr\r\n", "lf\n"),
        ("$x\n", "tab\there\n\n"),
    ],
)
def test_shell_writes_exactly_the_bytes_and_its_undo_brings_them_back(tmp_path, before, after):
    path = tmp_path / "it's a file"
    if before is not None:
        path.write_bytes(before.encode())
    action = acts.WriteFile(str(path), after, before, None if before is None else "0" * 64)
    for command in action.shell():
        subprocess.run(["sh", "-ec", command], check=True)
    assert path.read_bytes() == after.encode()
    for command in action.undo_shell():
        subprocess.run(["sh", "-ec", command], check=True)
    assert (path.read_bytes() if path.exists() else None) == (None if before is None else before.encode())


def test_the_script_is_valid_sh_and_its_undo_is_commented_out():
    actions = (
        acts.WriteFile("/etc/modules-load.d/transom.conf", "vfio\n", None, None),
        acts.RunStep(model.Step.INITRAMFS, "changed"),
        guest_actions.CreateGuest(112, "x", {"name": "x"}, {"args": "-set 'a b'"}),
        acts.Reboot("id", "why"),
    )
    script = plan_text.shell(result.Plan("pve1", "d", drifts=(DRIFT,), actions=actions))
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    forward, back = script.split("# --- The way back")
    assert forward.index("modules-load.d") < forward.index("update-initramfs") < forward.index("qm create 112")
    assert all(line.startswith("#") for line in back.splitlines()[1:] if line)


def test_actions_count_and_name_what_they_do_as_people_would():
    assert acts.Confirm("b", ("modules/vfio",)).describe().count("1 setting in effect") == 1
    assert acts.Confirm("b", ("modules/vfio", "modules/x")).describe().count("2 settings in effect") == 1
    assert acts.KeepBoot("b", "6.8", ()).describe().endswith("boot configuration")
    assert acts.KeepBoot("b", "6.8", ("/etc/x",)).describe().endswith(", 1 file")
    for step in model.Step:
        assert "[" not in acts.RunStep(step, "changed").describe(), "a line of shell is no name"
