"""A Rom document through the daemon: killed while it builds, built by the next one beside the turn, placed by the approved plan."""

from __future__ import annotations

import signal

from patience import settled, until
from transom import resources
from transom.lab import synthetic_rom
from transom.reconcile import backend


def test_killed_while_building_it_is_built_and_rolled_out(bench):
    document = bench.lab.stage(resources.examples_dir() / "rom-from-bios.yaml")
    with bench.child(document, "once") as process:
        assert process.stdout is not None
        operation = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    with bench.keeper() as one:
        text = backend.Text(str(document), document.read_text())
        assert one.provision([text], approve=True, key="once", by="test").id == operation
        done = settled(one, one.operation(operation))
        assert done.state == "done", done
        (rom,) = [row for row in one.roms() if row.kind == "rom"]
        assert (rom.state, rom.origin, rom.good, one.rom(rom.key).nodes) == ("built", "Rom/igd", True, ("pve1",))
        placed = bench.lab.node("pve1").root / "usr/share/kvm" / f"igd-{rom.sha256[:12]}.rom"
        assert placed.read_bytes() == synthetic_rom.igd_rom() == one.rom_content(rom.sha256)

        firmware = document.parent / "B460M-Steel-Legend-2.10.zip"
        whole = firmware.read_bytes()
        firmware.write_bytes(b"")  # a look comes while it is being written
        one.scan("pve1", by="test")
        until(lambda: "failed" in [row.state for row in one.roms()])
        firmware.write_bytes(whole[:-1] + b"x")
        one.scan("pve1", by="test")  # the file alone has changed, and nobody has been asked
        wanted = ["place-rom", "change-guest", "remove-rom"]
        until(lambda: wanted in [[step["kind"] for step in one.plan(row.hash)["actions"]] for row in one.plans()])
        assert placed.exists()
