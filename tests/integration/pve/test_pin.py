"""``transom pin`` against a server whose certificate was changed, and one that shows another SSH key."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

OLD = ":".join(["AA"] * 32)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGUga2V5OiBwdXQgeW91ciBob3N0J3Mga2V5"
DOCUMENTS = f"""# a comment
apiVersion: transom/v1
kind: Cluster
metadata: {{name: home}}
spec:
  api:
    endpoints: [URL]
    token: {{id: a@pve!bb, secret: {{env: TOKEN}}}}
    fingerprint: "{OLD}"  # of the old machine
  ssh: {{key: {{env: KEY}}}}
---
apiVersion: transom/v1
kind: Node
metadata: {{name: pve1}}
spec:
  cluster: home
  ssh: {{address: 127.0.0.1, port: 1, host_key: {KEY}}}
"""


@pytest.fixture
def site(serve):
    return serve()


@pytest.fixture
def file(site, tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(DOCUMENTS.replace("URL", site.api.url))
    path.chmod(0o640)
    return path


def pin(file: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "transom", "pin", "-f", str(file), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_it_shows_old_and_new_and_changes_nothing(site, file):
    before = file.read_bytes()
    done = pin(file)
    assert done.returncode == 69, done.stderr  # SSH is not there
    assert f"Cluster/home api.fingerprint at {site.api.url}: DIFFERS" in done.stdout
    for text in (
        f"pinned {OLD}",
        f"shown  {site.api.fingerprint}",
        "subject O=Transom lab,CN=pve1",
        "issuer",
        "valid 20",
    ):
        assert text in done.stdout
    assert "Node/pve1 ssh.host_key at 127.0.0.1:1: cannot be seen" in done.stdout
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["fleet.yaml", "root", "secrets"]


def test_without_anybody_to_ask_it_writes_nothing(file):
    before = file.read_bytes()
    done = pin(file, "--write")
    assert done.returncode == 64
    assert "nobody to ask" in done.stderr
    assert file.read_bytes() == before


def test_written_it_is_one_value_and_the_former_file_is_kept(site, file):
    before = file.read_text()
    done = pin(file, "--write", "--yes")
    assert file.read_text() == before.replace(OLD, site.api.fingerprint), done.stderr
    kept = file.with_name("fleet.yaml.before-1")
    assert kept.read_text() == before
    assert file.stat().st_mode & 0o777 == kept.stat().st_mode & 0o777 == 0o640
    again = pin(file, "--json")
    assert '"differs": false' in again.stdout
    assert '"differs": true' not in again.stdout
    pin(file, "--write", "--yes")
    assert not file.with_name("fleet.yaml.before-2").exists()


def test_a_ca_is_left_alone(site, file):
    file.write_text(file.read_text().replace(f'fingerprint: "{OLD}"', "ca: ca.pem"))
    done = pin(file, "--write", "--yes")
    assert "signed by" in done.stdout
    assert site.api.fingerprint in done.stdout
    assert not file.with_name("fleet.yaml.before-1").exists()


def test_each_endpoint_has_its_own(site, file):
    other = ":".join(["BB"] * 32)
    text = file.read_text().replace(f'fingerprint: "{OLD}"', f'fingerprints: ["{site.api.fingerprint}", "{other}"]')
    file.write_text(text.replace(f"[{site.api.url}]", f"[{site.api.url}, {site.api.url}]"))
    shown = pin(file).stdout
    assert f"api.fingerprints.0 at {site.api.url}: as pinned" in shown
    assert f"api.fingerprints.1 at {site.api.url}: DIFFERS" in shown
    before = file.read_text()
    pin(file, "--write", "--yes")
    assert file.read_text() == before.replace(other, site.api.fingerprint)


def test_as_many_pins_as_endpoints(file):
    file.write_text(file.read_text().replace(f'fingerprint: "{OLD}"', f'fingerprints: ["{OLD}", "{OLD}"]'))
    done = pin(file)
    assert done.returncode == 65
    assert 'has 2 "fingerprints" for 1 "endpoints"' in done.stderr
