"""What PVE would refuse later is found before anything is written, by the API alone."""

from __future__ import annotations


def held(bench) -> list[str]:
    return [finding.id for finding in bench.plan().findings if finding.holds]


def test_an_image_that_is_not_on_its_storage_is_not_put_into_a_drive(bench):
    bench.put("  media: {ide2: 'local:iso/v.iso'}\n")
    assert held(bench) == ["image-missing"]
    folder = bench.here.place.path("var/lib/vz/template/iso")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "v.iso").write_bytes(b"\0" * 2048)
    bench.apply()
    assert bench.plan().empty
    (folder / "v.iso").unlink()
    assert held(bench) == ["image-missing"]  # it would not start again


def test_more_cpus_than_the_node_has(bench):
    bench.put("  hardware: {name: win, cores: 4, sockets: 2}\n")
    assert held(bench) == ["cpus-over-node"]
    bench.put("  hardware: {name: win, cores: 3, sockets: 2}\n")
    bench.apply()
