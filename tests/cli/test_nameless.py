"""A container's user: a uid without a passwd entry, with no home or another user's."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from pfa_core.store.embedded import server
from tests import processes
from tests.factories import SECRET, World, a_token, a_world, know_the_key, record
from tests.server import bound_url, reachable_directory

NAMELESS = 54321
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
pytestmark = only_root

# The interpreter's files may be out of the other user's reach: all is imported before becoming them, once.
ZYGOTE = """
import importlib, json, os, pkgutil, sys, tempfile
import jwt, pfa_cli, pfa_core, psycopg, simplejson, tabulate
for package in (pfa_core, pfa_cli):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
try:
    psycopg.connect("host=/nowhere")
except psycopg.OperationalError:
    pass
for line in sys.stdin:
    uid, words, environ = json.loads(line)
    files = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]
    child = os.fork()
    if child == 0:
        for number, file in enumerate(files, 1):
            os.dup2(file.fileno(), number)
        os.environ.clear()
        os.environ.update(environ)
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        os._exit(pfa_cli.app.main(words))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = []
    for file in files:
        file.seek(0)
        said.append(file.read().decode())
    print(json.dumps([code, *said]), flush=True)
"""


@dataclass(frozen=True)
class Done:
    """How one call ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def zygote() -> Iterator[subprocess.Popen[str]]:
    """A process that runs the program as another user, again and again."""
    with processes.started(
        [sys.executable, "-c", ZYGOTE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as started:
        yield started


Run = Callable[..., Done]


@pytest.fixture
def run(zygote: subprocess.Popen[str]) -> Run:
    """Runs the program as the nameless user, with these variables and no others."""

    def call(*words: str, **environ: str) -> Done:
        assert zygote.stdin
        assert zygote.stdout
        request = [NAMELESS, words, {"PATH": "/usr/bin:/bin", **environ}]
        zygote.stdin.write(json.dumps(request) + "\n")
        zygote.stdin.flush()
        return Done(*json.loads(zygote.stdout.readline()))

    return call


@pytest.fixture(autouse=True)
def nameless() -> None:
    with pytest.raises(KeyError):
        pwd.getpwuid(NAMELESS)


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = a_world(database_url, record("P-1"), record("P-2"))
    made.owner.transact(know_the_key)
    sockets = Path(str(conninfo_to_dict(database_url).get("host")))
    if sockets.is_dir():
        sockets.chmod(0o755)
    yield made
    made.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    path = reachable_directory("pfa-nameless-")
    yield path
    if (path / "pfa").is_dir():
        server.stop(path / "pfa")
    shutil.rmtree(path, ignore_errors=True)


def signed_in(world: World) -> dict[str, str]:
    return {
        "PFA_DATABASE_URL": bound_url(world.url),
        "PFA_TOKEN": a_token(world.principal()),
        "PFA_JWT_SECRET": SECRET,
    }


HOMES = {
    "no home": {},
    "the root directory": {"HOME": "/"},
    "another user's home": {"HOME": "{closed}"},
    "a home that is not there": {"HOME": "/nowhere/at/all"},
    "relative folders": {"PFA_EMBEDDED_DIR": "here", "XDG_DATA_HOME": "there"},
}


@pytest.fixture(params=HOMES.values(), ids=HOMES)
def variables(request: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    return {name: value.format(closed=closed) for name, value in request.param.items()}


@pytest.mark.slow
@pytest.mark.variants(2)
def test_what_needs_no_database_runs(run, variables):
    for words in (["version"], ["--version"], ["--help"], ["list", "--help"], ["version", "-v"]):
        done = run(*words, **variables)
        assert (done.code, "error" in done.err) == (0, False), done.err


@pytest.mark.slow
@pytest.mark.variants(2)
def test_a_server_of_one_s_own_is_used(run, variables, world):
    listed = run("list", "-o", "ids", **variables, **signed_in(world))
    assert (listed.code, listed.out, listed.err) == (0, "P-1\nP-2\n", "")
    drafted = run("draft", "set", "P-1", "monthlyRate=5", **variables, **signed_in(world))
    assert drafted.code == 0, drafted.err
    status = run("db", "status", "-o", "json", **variables, PFA_DATABASE_URL=world.url)
    assert '"reachable":true' in status.out


def test_the_embedded_server_says_what_it_needs(run, variables):
    done = run("db", "url", **variables)
    assert done.code == 78
    assert "PFA_EMBEDDED_DIR is not an absolute path" in done.err or (
        f"user id {NAMELESS} has no passwd entry" in done.err and "PFA_DATABASE_URL" in done.err
    )


def test_a_directory_for_the_embedded_server_is_not_enough_to_make_one(run, folder):
    folder.chmod(0o777)
    done = run("init", "--org", "ORG", PFA_EMBEDDED_DIR=str(folder / "pfa"), HOME=str(folder))
    assert done.code == 78
    assert f"user id {NAMELESS} has no passwd entry, which PostgreSQL's initdb requires" in done.err
    assert "hint: name a server of your own in PFA_DATABASE_URL" in done.err
    assert not list((folder / "pfa").glob("pgdata-*"))


@pytest.mark.slow
def test_an_embedded_server_that_exists_starts(run, folder):
    root = folder / "pfa"
    server.ensure(root)
    server.stop(root)
    for path in (root, *root.rglob("*")):
        os.lchown(path, NAMELESS, NAMELESS)
    done = run(
        "init",
        "--org",
        "ORG",
        PFA_EMBEDDED_DIR=str(root),
        HOME="/",
        XDG_CONFIG_HOME=str(root / "c"),
    )
    assert done.code == 0, done.err
    stopped = run("db", "stop", PFA_EMBEDDED_DIR=str(root))
    assert (stopped.code, stopped.err) == (0, "the embedded server is stopped\n")


def test_what_would_be_kept_in_a_home_says_that_there_is_none(run, world):
    done = run("init", "--org", "NEW", PFA_DATABASE_URL=world.url, PFA_JWT_SECRET=SECRET)
    assert done.code == 78
    assert "no home directory" in done.err
    assert "hint: name one in HOME or XDG_CONFIG_HOME" in done.err


def test_an_address_without_a_user_says_so(run, world):
    done = run("db", "status", "-o", "json", PFA_DATABASE_URL="postgresql:///d?host=/nowhere")
    assert "names no user" in done.out
