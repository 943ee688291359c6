"""What the sandbox keeps: over restarts, over kill -9, and what it does with a file of others."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from pfa_core.errors import InvalidData, IoFailure, LeaseHeld
from pfa_core.pems.sandbox.journal import Journal
from pfa_core.pems.sandbox.server import Sandbox
from tests.pems.sandbox_client import Client, record
from tests.processes import started

SERVE = """
import sys, threading
from pathlib import Path
from pfa_core.pems.sandbox.server import Sandbox
with Sandbox(organization="RIO", state=Path(sys.argv[1])) as sandbox:
    print(sandbox.url, flush=True)
    threading.Event().wait()
"""


def test_records_log_and_keys_outlive_the_sandbox(tmp_path):
    path = tmp_path / "state"
    with (
        Sandbox(organization="RIO", state=path, records=[record(1), record(2)]) as first,
        Client(first.url) as client,
    ):
        answer = client.put("R-1", 1, key="k", monthlyRate=5, actualStart=None)
        client.put("R-1", 1, key="stale", model="X")
        first.change("R-7", model="New")
        first.remove("R-2")
        records, log = first.records, first.log
    with Sandbox(organization="RIO", state=path) as second, Client(second.url) as client:
        assert (second.records, second.log) == (records, log)
        assert client.put("R-1", 1, key="k", monthlyRate=5, actualStart=None).json == answer.json
        assert client.put("R-1", 1, key="stale", model="X").status == 409
        assert client.put("R-1", 2, key="new", model="X").json["newVersion"] == 3


@pytest.mark.slow
def test_every_acknowledged_write_survives_kill_9(tmp_path):
    path = tmp_path / "state"
    with Sandbox(organization="RIO", state=path, records=[record(n) for n in range(1, 5)]):
        pass
    acknowledged: dict[str, int] = {}
    argv = [sys.executable, "-c", SERVE, str(path)]
    with started(argv, stdout=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().strip()
        killed_soon = threading.Timer(0.4, server.send_signal, [signal.SIGKILL])
        senders = [
            threading.Thread(target=_write_until_cut, args=(url, f"R-{number}", acknowledged))
            for number in range(1, 5)
        ]
        for thread in [*senders, killed_soon]:
            thread.start()
        for thread in [*senders, killed_soon]:
            thread.join()
        assert server.wait() == -signal.SIGKILL
    with Sandbox(organization="RIO", state=path) as again:
        for pfa_id, version in acknowledged.items():
            # The one under way when the end came may have been applied without an answer.
            assert again.record(pfa_id).version in (version, version + 1)
            assert again.record(pfa_id).data["model"] == str(again.record(pfa_id).version - 1)
        keys = [entry.write.key for entry in again.log]
        assert len(keys) == len(set(keys)) >= sum(acknowledged.values()) - 4 > 0


def _write_until_cut(url: str, pfa_id: str, acknowledged: dict[str, int]) -> None:
    acknowledged[pfa_id] = version = 1
    with Client(url) as client:
        try:
            while True:
                answer = client.put(pfa_id, version, key=f"{pfa_id} {version}", model=str(version))
                acknowledged[pfa_id] = version = answer.json["newVersion"]
        except OSError:
            return


def test_a_last_line_cut_short_is_forgotten_and_the_file_goes_on(tmp_path):
    path = tmp_path / "state"
    with Sandbox(organization="RIO", state=path, records=[record(1)]) as sandbox:
        sandbox.change("R-1", model="A")
        sandbox.change("R-1", model="B")
    path.write_bytes(path.read_bytes()[:-20])
    with Sandbox(organization="RIO", state=path) as sandbox:
        assert (sandbox.record("R-1").version, sandbox.record("R-1").data["model"]) == (2, "A")
        sandbox.change("R-1", model="C")
    with Sandbox(organization="RIO", state=path) as sandbox:
        assert (sandbox.record("R-1").version, sandbox.record("R-1").data["model"]) == (3, "C")


def test_a_damaged_line_is_refused_by_its_number(tmp_path):
    path = tmp_path / "state"
    with Sandbox(organization="RIO", state=path, records=[record(1)]):
        pass
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    with pytest.raises(InvalidData, match="line 3 is damaged"), Sandbox(state=path):
        pass


@pytest.mark.parametrize("content", [b"alias ll='ls -l'\n", b"x"])
def test_a_file_of_something_else_is_left_alone(tmp_path, content):
    path = tmp_path / "bashrc"
    path.write_bytes(content)
    with pytest.raises(InvalidData, match="not the state of a sandbox"), Sandbox(state=path):
        pass
    assert path.read_bytes() == content


def test_two_sandboxes_never_share_a_state(tmp_path):
    path = tmp_path / "state"
    with Sandbox(state=path), pytest.raises(LeaseHeld), Sandbox(state=path):
        pass
    with Sandbox(state=path):
        pass


def test_a_state_is_the_owners_alone(tmp_path):
    path = tmp_path / "state"
    with Sandbox(state=path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_state_that_cannot_be_made_is_an_io_failure(tmp_path):
    with pytest.raises(IoFailure), Sandbox(state=tmp_path / "none" / "state"):
        pass


def test_a_write_that_cannot_be_kept_is_500_and_not_applied(tmp_path, monkeypatch):
    path = tmp_path / "state"
    with (
        Sandbox(organization="RIO", state=path, records=[record(1)]) as sandbox,
        Client(sandbox.url) as client,
    ):
        with monkeypatch.context() as full:
            full.setattr(Journal, "_write", _disk_is_full)
            assert client.put("R-1", 1, key="k", model="X").status == 500
        assert (sandbox.record("R-1").version, sandbox.log) == (1, ())
        assert client.put("R-1", 1, key="k", model="X").status == 200
    with Sandbox(organization="RIO", state=path) as sandbox:
        assert sandbox.record("R-1").version == 2


def _disk_is_full(*_: object) -> None:
    raise OSError(28, "No space left on device")
