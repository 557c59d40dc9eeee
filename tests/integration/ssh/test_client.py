"""The connection, against a real OpenSSH server."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import re
import socket
import threading
import time
from concurrent import futures

import pytest

from transom import errors, ssh
from transom.spec import wish

QUICK = ssh.Timeouts(connect=2, answer=1)


def test_argv_arrives_word_by_word(host):
    words = ["a b", "$HOME", "'", '"', "*", "", "ü", "a\nb", "--", ";id"]
    done = host.run(["printf", "%s\\0", *words])
    assert done.exit == 0
    assert done.stdout.decode().split("\0")[:-1] == words


def test_a_string_is_no_argv(host):
    with pytest.raises(TypeError):
        host.run("id")
    with pytest.raises(TypeError):
        host.run([])


def test_exit_status_and_both_outputs(host):
    done = host.script("echo out; echo err >&2; exit $1", ["7"])
    assert done == ssh.Completed(7, b"out\n", b"err\n")


def test_a_command_ended_by_a_signal(host):
    assert host.script("kill -9 $$").exit == -1


def test_input_ends(host):
    assert host.run(["cat"]).stdout == b""
    assert host.run(["cat"], stdin=b"\0\xff\r\n").stdout == b"\0\xff\r\n"


def test_much_data_in_all_directions_at_once(host):
    data = bytes(range(256)) * (20 << 12)
    done = host.run(["tee", "/dev/stderr"], stdin=data)
    want = hashlib.sha256(data).digest()
    assert [hashlib.sha256(got).digest() for got in (done.stdout, done.stderr)] == [want, want]


def test_much_output_on_stderr_alone(host):
    done = host.script("head -c 6000000 /dev/zero >&2; echo end")
    assert (done.stdout, len(done.stderr)) == (b"end\n", 6000000)


def test_input_that_nobody_reads(host):
    assert host.script("exit 3", stdin=b"x" * (8 << 20)).exit == 3


def test_too_much_output_is_garbled_and_the_connection_lives(host):
    with pytest.raises(errors.Garbled, match="bytes of output"):
        host.run(["head", "-c", str(80 << 20), "/dev/zero"])
    assert host.run(["true"]).exit == 0


def test_time_is_up_and_the_connection_lives(host):
    start = time.monotonic()
    with pytest.raises(errors.Unreachable, match=r"`sleep 30` has not ended after 0\.5 s .*may still run"):
        host.run(["sleep", "30"], timeout=0.5)
    assert time.monotonic() - start < 20
    assert host.run(["true"]).exit == 0


def test_time_is_up_while_output_drips(host):
    with pytest.raises(errors.Unreachable):
        host.script("while :; do echo x; sleep 0.1; done", timeout=0.6)


def test_many_threads_share_a_connection(host):
    # sshd allows 10 sessions a connection, those that are just ending included
    with futures.ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda number: host.run(["echo", str(number)]).stdout, range(80)))
    assert outputs == [f"{number}\n".encode() for number in range(80)]


def test_commands_that_end_before_their_input_does_keep_the_connection(host):
    with futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda number: host.script("exit $1", [str(number)], stdin=b"x" * 9), range(40)))
    assert [one.exit for one in done] == list(range(40))


DROP = "kill -9 $PPID; sleep 5"


def test_a_broken_line_is_told_and_a_change_is_not_repeated(host, server):
    counter = server.folder / "counter"
    with pytest.raises(errors.Unreachable, match="it may have happened"):
        host.script(f"echo x >> {counter}; {DROP}")
    assert counter.read_text() == "x\n"
    with pytest.raises(errors.Unreachable, match="was not started"):
        host.run(["true"])
    counter.unlink()


def test_a_read_gets_a_new_connection(host):
    with pytest.raises(errors.Unreachable):
        host.script(DROP)
    assert host.run(["echo", "back"], read_only=True).stdout == b"back\n"
    assert host.run(["echo", "writes too"]).stdout == b"writes too\n"


def test_a_read_that_breaks_the_line_is_repeated_once(host, server):
    counter = server.folder / "reads"
    with pytest.raises(errors.Unreachable):
        host.script(f"echo x >> {counter}; {DROP}", read_only=True)
    assert counter.read_text() == "x\nx\n"
    counter.unlink()


def test_threads_that_lose_the_line_together_make_one_new(host):
    with pytest.raises(errors.Unreachable):
        host.script(DROP)
    with futures.ThreadPoolExecutor(6) as pool:
        ends = list(pool.map(lambda _: host.script("echo $PPID", read_only=True).stdout, range(6)))
    assert len(set(ends)) == 1


def test_closed_stays_closed(server):
    host = ssh.connect(server.access())
    host.close()
    host.close()
    with pytest.raises(errors.Unreachable, match="has been closed"):
        host.run(["true"], read_only=True)


def test_closing_ends_the_thread_at_once(server):
    before = set(threading.enumerate())
    host = ssh.connect(server.access())
    mine = set(threading.enumerate()) - before
    assert len(mine) == 1
    host.close()
    for thread in mine:
        thread.join(2)
        assert not thread.is_alive()


def test_an_idle_connection_sleeps(server):
    before = set(threading.enumerate())
    with ssh.connect(server.access()) as host:
        host.run(["true"])
        time.sleep(0.3)
        (thread,) = set(threading.enumerate()) - before
        status = pathlib.Path(f"/proc/self/task/{thread.native_id}/status")
        start = _switches(status)
        time.sleep(1.0)
        # paramiko's own rate would be ten.
        assert _switches(status) - start <= 2


def _switches(status: pathlib.Path) -> int:
    found = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status.read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def test_a_small_command_is_not_slowed_by_nagle(host):
    host.run(["true"])
    times = []
    for _ in range(10):
        start = time.monotonic()
        host.run(["true"])
        times.append(time.monotonic() - start)
    assert sorted(times)[len(times) // 2] < 0.035


@pytest.mark.parametrize("key", ["client", "client_ecdsa", "client_rsa"])
@pytest.mark.parametrize("host_key", ["host_ed25519", "host_rsa"])
def test_kinds_of_keys(server, key, host_key):
    with ssh.connect(server.access(key=key, host_key=host_key)) as host:
        assert host.run(["true"]).exit == 0


def test_the_key_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("TRANSOM_TEST_KEY", (server.folder / "client").read_text())
    access = _with(server.access(), ssh_key=wish.SecretRef(env="TRANSOM_TEST_KEY"))
    with ssh.connect(access) as host:
        assert host.run(["true"]).exit == 0


@pytest.mark.parametrize("pinned", ["other_host", "other_kind_of_host"])
def test_another_host_key_is_denied_and_both_are_shown(server, pinned):
    with pytest.raises(errors.Denied) as caught:
        ssh.connect(server.access(host_key=pinned))
    prints = re.findall(r"SHA256:[A-Za-z0-9+/]{43}", str(caught.value))
    assert len(set(prints)) == 2


def test_a_key_that_the_host_does_not_know_is_denied(server):
    with pytest.raises(errors.Denied, match="refuses key SHA256:"):
        ssh.connect(server.access(key="stranger"))


def test_no_thread_is_left_after_a_refusal(server):
    before = set(threading.enumerate())
    with pytest.raises(errors.Denied):
        ssh.connect(server.access(host_key="other_host"))
    for thread in set(threading.enumerate()) - before:
        thread.join(2)
        assert not thread.is_alive()


def test_nobody_listens(server):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(errors.Unreachable, match="cannot connect"):
        ssh.connect(server.access(port=port))


def test_no_such_name(server):
    with pytest.raises(errors.Unreachable, match="cannot connect"):
        ssh.connect(_with(server.access(), ssh_host="nowhere.invalid"))


@pytest.mark.parametrize("greeting", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-mute\r\n"])
def test_what_is_no_ssh_server_is_unreachable_within_the_limits(server, greeting):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_greet, args=(listener, greeting), daemon=True)
        thread.start()
        start = time.monotonic()
        with pytest.raises(errors.Unreachable):
            ssh.connect(server.access(port=listener.getsockname()[1]), timeouts=QUICK)
        assert time.monotonic() - start < 8
        thread.join(10)


def _greet(listener: socket.socket, greeting: bytes | None) -> None:
    connection, _ = listener.accept()
    with connection:
        if greeting:
            connection.sendall(greeting)
        while connection.recv(4096):
            pass


def _with(access: wish.Access, **changes: object) -> wish.Access:
    return dataclasses.replace(access, **changes)  # type: ignore[arg-type]


def test_the_host_key_that_is_shown_beside_the_pinned_one(server):
    for pinned, shown in (
        ("host_ed25519", "host_ed25519"),
        ("host_rsa", "host_rsa"),
        ("other_host", "host_ed25519"),
        ("other_kind_of_host", None),
    ):
        old, new = ssh.host_key(server.access(host_key=pinned, key="stranger"))
        assert old.text == " ".join(server.public(pinned).split()[:2])
        own = [" ".join(server.public(name).split()[:2]) for name in ("host_ed25519", "host_rsa")]
        assert new.text in own
        assert shown is None or new.text == " ".join(server.public(shown).split()[:2])
        assert (old.fingerprint == new.fingerprint) is (pinned == shown)
    with pytest.raises(errors.Unreachable):
        ssh.host_key(server.access(port=1))
