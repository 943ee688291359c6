"""`pfa sandbox` as a process of its own."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.cli import shapes
from tests.pems.sandbox_client import Client, basic, record
from tests.processes import started

RUN = """
import sys
from pfa_cli.app import COMMANDS, main
COMMANDS.setdefault("sandbox", "sandbox")
sys.exit(main(["sandbox", *sys.argv[1:]]))
"""


def start(*words: str, **environment: str) -> AbstractContextManager[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", RUN, *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return started(argv, text=True, env={**os.environ, **environment}, **pipes)


@contextmanager
def running(*words: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with start(*words, **environment) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()


def refused(*words: str, **environment: str) -> tuple[int, str]:
    with start(*words, **environment) as process:
        out, err = process.communicate(timeout=20)
    assert out == ""
    return process.returncode, err


@pytest.fixture
def baseline(tmp_path: Path) -> str:
    path = tmp_path / "mirror.jsonl.gz"
    lines = "".join(json.dumps(record(number)) + "\n" for number in (1, 2))
    path.write_bytes(gzip.compress(lines.encode()))
    return str(path)


@pytest.mark.variants(1)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_prints_its_address_serves_and_ends_on_a_signal(baseline, number, code):
    with running("--org", "RIO", "--load", baseline, "-v") as (process, url):
        with Client(url) as client:
            assert client.get("R-2").json["version"] == 1
        assert process.stderr is not None
        err = ""
        while "2 records" not in err or "R-2 200" not in err:  # they are said behind the address
            err += process.stderr.readline()
        process.send_signal(number)
        out, rest = process.communicate(timeout=10)
        err += rest
    assert (process.returncode, out) == (code, "")
    assert "GET /api/pems/pfa/R-2 200" in err
    assert "Traceback" not in err


@pytest.mark.variants(1)
@pytest.mark.parametrize("style", ["json", "jsonl"])
def test_its_address_as_json_keeps_to_the_schema(baseline, style):
    words = ("--org", "RIO", "--load", baseline, "-o", style)
    with running(*words) as (_, text):
        shapes.check(("sandbox", *words), text, "")
    assert "http://127.0.0.1:" in text


@pytest.mark.slow
def test_state_and_faults_come_from_the_command_line(baseline, tmp_path):
    words = ["--org", "RIO", "--load", baseline, "--state", str(tmp_path / "state")]
    faulty = [*words, "--fault", "500:on=rest:times=1", "--no-idempotency"]
    with running(*faulty) as (_, url), Client(url) as client:
        assert client.put("R-1", 1, key="k", model="X").status == 500
        assert client.put("R-1", 1, key="k", model="X").status == 200
        assert client.put("R-1", 1, key="k", model="X").status == 409
    with running(*words) as (_, url), Client(url) as client:
        assert client.get("R-1").json["version"] == 2


def test_grid_answers_are_loaded_and_given_under_the_aliases_of_a_field_map(tmp_path):
    answer = {
        "Result": {
            "ResultData": {
                "GRID": {
                    "DATA": {
                        "ROW": [
                            {"D": [{"n": "no", "value": "R-1"}, {"n": "rate", "value": "5.50"}]}
                        ]
                    }
                }
            }
        }
    }
    (tmp_path / "grid.json").write_text(json.dumps(answer))
    (tmp_path / "map.toml").write_text('[fields]\nno = "pfaId"\nrate = "monthlyRate"\n')
    with (
        running(
            *("--org", "RIO", "--load", str(tmp_path / "grid.json")),
            *("--field-map", str(tmp_path / "map.toml"), "--rows", "d", "--totals", "rows"),
        ) as (_, url),
        Client(url) as client,
    ):
        grid = client.grid().json["Result"]["ResultData"]["GRID"]
    assert grid == {
        "TOTALROWS": 1,
        "DATA": {"ROW": [{"D": [{"n": "no", "value": "R-1"}, {"n": "rate", "value": "5.50"}]}]},
    }


@pytest.mark.long
def test_credentials_come_from_a_file_of_the_owner(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("canary-91\n")
    secret.chmod(0o600)
    words = ("--org", "RIO", "--username", "u", "--tenant", "T")
    with running(*words, PFA_PEMS_PASSWORD_FILE=str(secret)) as (_, url), Client(url) as client:
        assert client.get("R-1").status == 401
        client.headers |= {"Authorization": basic("u", "canary-91")}
        assert client.get("R-1").status == 400
        client.headers |= {"tenant": "T"}
        assert client.get("R-1").status == 404
    secret.chmod(0o644)
    code, err = refused(*words, PFA_PEMS_PASSWORD_FILE=str(secret))
    assert (code, "canary-91" in err) == (78, False)


@pytest.mark.long
def test_a_password_that_http_cannot_carry_is_refused_by_its_name():
    words = ("--org", "RIO", "--username", "u")
    code, err = refused(*words, PFA_PEMS_PASSWORD="canary\udcff91")
    assert (code, "canary" in err) == (78, False)
    assert "the password of PEMS in PFA_PEMS_PASSWORD is not UTF-8 text" in err


@pytest.mark.long
def test_writes_are_stored_otherwise_and_not_shown_where_it_was_asked(tmp_path):
    (tmp_path / "one.jsonl").write_text(json.dumps({**record(1), "organization": "RIO"}))
    words = ("--org", "RIO", "--load", str(tmp_path / "one.jsonl"), "--fault", "capitals")
    for more, shown in ((), True), (("--no-representation",), False):
        with running(*words, *more) as (_, url), Client(url) as client:
            client.headers |= {"Prefer": "return=representation"}
            answer = client.put("R-1", 1, model="crane").json
            assert answer.get("data") == ({"model": "CRANE"} if shown else None)
            assert client.get("R-1").json["data"]["model"] == "CRANE"


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--username", "u"), 78),
        (("--fault", "moon"), 2),
        (("--rows", "x"), 2),
        (("--load", "none.jsonl"), 6),
        (("--field-map", "none.toml"), 78),
        (("--state", "/none/state"), 74),
        (("--dry-run",), 2),
    ],
)
def test_what_cannot_start_says_why_and_ends_with_its_number(words, code, monkeypatch):
    monkeypatch.delenv("PFA_PEMS_PASSWORD")
    shown, err = refused("--org", "RIO", *words)
    assert (shown, "Traceback" in err) == (code, False)
    assert "error: " in err


def test_a_file_with_faults_is_refused_with_their_places(tmp_path):
    path = tmp_path / "mirror.jsonl"
    path.write_text(json.dumps(record(1)) + "\nnonsense\n" + json.dumps(record(2, dor="X")) + "\n")
    code, err = refused("--org", "RIO", "--load", str(path))
    assert code == 9
    assert "line 2" in err
    assert "line 3" in err
    assert "2 of 3" in err
