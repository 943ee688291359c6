"""The embedded server under everything that happens to a program run by cron."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import pq

from pfa_cli.app import main
from pfa_core.admin.server import database_url, psql_environment
from pfa_core.config.settings import resolve
from pfa_core.errors import ConfigInvalid, DatabaseUnavailable, IoFailure, OutcomeUnknown
from pfa_core.store import connection
from pfa_core.store.database import Database
from pfa_core.store.embedded import accounts, binaries, launch, layout, logs, process, server
from pfa_core.store.outcome import Ending, begin
from tests.forms import long
from tests.server import reachable_directory

AS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not AS_ROOT, reason="only root becomes another user")

# Another user may be unable to read the interpreter's files: import all before becoming them.
ENSURE = """
import os, sys
from pathlib import Path
import psycopg
from pfa_core.errors import PfaError
from pfa_core.store.embedded import server
if len(sys.argv) > 2:
    try:
        psycopg.connect("host=/nowhere")
    except psycopg.OperationalError:
        pass
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
try:
    server.ensure(Path(sys.argv[1]))
except PfaError as error:
    sys.exit(f"{error.code}: {error.message} | {error.hint}")
"""


USE = """
import sys
from pathlib import Path
from pfa_core.store.database import Database
with Database(None, Path(sys.argv[1])) as db:
    said = db.read(lambda conn: conn.execute(
        "SELECT concat_ws(' ', current_setting('datestyle'), current_setting('timezone'),"
        " current_database(), (SELECT rolname FROM pg_roles WHERE oid = 10))").fetchone()[0])
print(said, file=sys.stderr)
"""


@pytest.fixture
def root() -> Iterator[Path]:
    """A root of the test's own; whatever runs in it afterwards is ended."""
    base = reachable_directory("pfa-embedded-")
    try:
        yield base / "pfa"
        end_all(base)
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def sleeper() -> Iterator[Callable[..., int]]:
    """Starts processes that have nothing to do with PostgreSQL; returns their pids."""
    started = []

    def start(**user: int) -> int:
        started.append(subprocess.Popen(["sleep", "60"], **user))
        return started[-1].pid

    yield start
    for child in started:
        child.kill()
        child.wait()


def end_all(base: Path) -> None:
    for pid in processes_of(base):
        os.kill(pid, signal.SIGINT)
    wait_until(lambda: not processes_of(base))


def processes_of(base: Path) -> list[int]:
    """Servers and initdb of any root below `base`; a server's children end with it."""
    mark = os.fsencode(base)
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if mark in line and (b"postgres" in line or b"initdb" in line):
            found.append(int(path.name))
    return [pid for pid in found if process.is_alive(pid) and pid != os.getpid()]


def wait_until(true: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def client(
    root: Path, uid: int | None = None, *, script: str = ENSURE, **options
) -> subprocess.Popen[str]:
    """Another process, perhaps another user's, that makes sure of the server."""
    argv = [sys.executable, "-c", script, str(root)] + ([] if uid is None else [str(uid)])
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, **options)


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    said = process.communicate(timeout=60)[1]
    return process.returncode, said


def write_row(root: Path) -> None:
    with psycopg.connect(server.conninfo(root)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'kept' AS word")


def row(root: Path) -> str:
    with psycopg.connect(server.conninfo(root)) as connection:
        return connection.execute("SELECT word FROM kept").fetchone()[0]


def running_pid(root: Path) -> int:
    pid = server.status(root).pid
    assert pid is not None
    return pid


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """A root whose server was stopped, with a row: made once, copied by those who begin there."""
    base = reachable_directory("pfa-embedded-")
    try:
        server.ensure(base / "pfa")
        write_row(base / "pfa")
        server.stop(base / "pfa")
        yield base / "pfa"
    finally:
        end_all(base)
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def running() -> Iterator[Path]:
    """A root whose server runs, with a schema; for tests that only connect."""
    base = reachable_directory("pfa-embedded-")
    try:
        with Database(None, base / "pfa") as db:
            db.read(lambda _: None)
        yield base / "pfa"
    finally:
        end_all(base)
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def stopped(root: Path, made: Path) -> Path:
    """The root, with a server that was stopped and holds a row; its data directory."""
    subprocess.run(["cp", "-a", str(made), str(root)], check=True)
    return server.status(root).data_directory


# -- starting ---------------------------------------------------------------------------------


@pytest.mark.long  # tests/test_load.py has more of them, and the schema with it
def test_several_processes_may_make_the_first_start_at_once(root):
    clients = [client(root) for _ in range(4)]
    assert [outcome(each) for each in clients] == [(0, "")] * 4
    assert list(root.glob(".init-*")) == []


@pytest.mark.long
def test_making_sure_of_a_running_server_changes_nothing(root, stopped):
    first = server.ensure(root)
    pid = running_pid(root)
    assert server.ensure(root) == first
    assert running_pid(root) == pid


def test_the_module_is_imported_without_the_driver():
    code = "import sys, pfa_core.store.embedded.server; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_stopped_server_starts_again_with_its_data(root):
    server.ensure(root)
    write_row(root)
    server.stop(root)
    assert not server.status(root).running
    server.ensure(root)
    assert row(root) == "kept"


@pytest.mark.long
@pytest.mark.parametrize("name", ["a blank, a comma", "a'quote and \"$HOME`x`\\"])
def test_a_path_may_hold_any_character(root, name):
    try:
        server.ensure(root / name)
        write_row(root / name)
        assert row(root / name) == "kept"
    finally:
        server.stop(root / name)
        if (sockets := layout.place(root / name).sockets).parent == Path("/tmp"):
            shutil.rmtree(sockets)


@pytest.mark.long
def test_a_path_too_long_for_a_socket_gets_one_elsewhere(root):
    deep = root / ("long" * 30)
    server.ensure(deep)
    sockets = layout.place(deep).sockets
    try:
        write_row(deep)
        assert sockets.parent == Path("/tmp")
        assert sockets.stat().st_mode & 0o077 == 0
    finally:
        server.stop(deep)
        shutil.rmtree(sockets)


@pytest.mark.long
def test_a_socket_directory_of_another_user_is_refused(root):
    deep = root / ("long" * 30)
    sockets = layout.place(deep).sockets
    sockets.symlink_to("/")
    try:
        with pytest.raises(ConfigInvalid, match="is not a directory of user"):
            server.ensure(deep)
    finally:
        sockets.unlink()


@pytest.mark.long
def test_the_callers_locale_and_postgresql_settings_do_not_matter(root):
    bent = {
        "LC_ALL": "de_DE.UTF-8",
        "PGPORT": "1",
        "PGHOSTADDR": "127.0.0.1",
        "PGSSLMODE": "verify-full",
        "PGOPTIONS": "-c no_such_setting=1",
        "PGDATA": "/nowhere",
        "PGTARGETSESSIONATTRS": "standby",
    }
    assert outcome(client(root, env=os.environ | bent)) == (0, "")


# Every variable that this libpq knows, and what it reads beside its parameters.
PG_VARIABLES = {
    option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar
} | {
    "PGSERVICEFILE",
    "PGSYSCONFDIR",
    "PGLOCALEDIR",
    "PGDATESTYLE",
    "PGTZ",
    "PGGEQO",
    "PGDATA",
    "PGREALM",
    "PGREQUIRESSL",
    "PGSOMETHINGNEW",
}
# Values that would change a connection which takes the variable; any other is nonsense to libpq.
BENT = {
    "PGSSLROOTCERT": "system",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGSSLNEGOTIATION": "direct",
    "PGDATESTYLE": "German",
    "PGTZ": "America/New_York",
    "PGHOSTADDR": "127.0.0.1",
    "PGTARGETSESSIONATTRS": "standby",
    "PGOPTIONS": "-c datestyle=German",
    "PGREQUIREPEER": "no-such-user",
}


def use(root: Path, environ: dict[str, str]) -> tuple[int, str]:
    """What a client says that makes sure of the server and asks it, in another process."""
    return outcome(client(root, env=os.environ | environ, script=USE))


@pytest.mark.variants(1)
@pytest.mark.parametrize("variable", sorted(PG_VARIABLES))
@pytest.mark.parametrize("owner", [False, *long([True])])
def test_no_postgresql_variable_reaches_a_running_server_s_clients(
    running, monkeypatch, variable, owner
):
    for value in {BENT.get(variable, "nonsense"), "nonsense"}:
        monkeypatch.setenv(variable, value)
        with Database(None, running, owner=owner) as db:
            dates = db.read(lambda conn: conn.execute("SHOW datestyle").fetchone()[0])
        assert dates == "ISO, MDY"
        assert server.status(running).running
        server.ensure(running)


@pytest.mark.long
def test_no_postgresql_variable_reaches_the_start(root, tmp_path):
    service = tmp_path / "service.conf"
    service.write_text("[elsewhere]\nhost=/nowhere\n")
    bent = dict.fromkeys(PG_VARIABLES, "nonsense") | BENT
    bent |= {"PGSERVICE": "elsewhere", "PGSERVICEFILE": str(service)}
    began = time.monotonic()
    assert use(root, bent | {"PFA_TOKEN": "a secret"}) == (0, "ISO, MDY UTC pfa pfa\n")
    assert time.monotonic() - began < 30
    environment = Path(f"/proc/{running_pid(root)}/environ").read_bytes()
    assert not [word for word in environment.split(b"\0") if word.startswith((b"PG", b"PFA_"))]


def test_the_variables_are_back_after_a_connection(running, monkeypatch):
    monkeypatch.setenv("PGSERVICE", "elsewhere")
    with Database(None, running) as db:
        db.administer(lambda _: None)
    assert os.environ["PGSERVICE"] == "elsewhere"


def test_psql_gets_no_postgresql_variable_for_the_embedded_server(monkeypatch):
    for name in PG_VARIABLES:
        monkeypatch.setenv(name, "nonsense")
    kept = psql_environment(resolve(environ={"PFA_EMBEDDED_DIR": "/x"}), "")
    assert not [name for name in kept if name.startswith("PG")]
    own = psql_environment(resolve(environ={"PFA_DATABASE_URL": "postgresql:///d"}), "p")
    assert own["PGSSLMODE"] == "nonsense"
    assert own["PGPASSWORD"] == "p"


@pytest.mark.long
def test_the_address_serves_psql(root):
    server.ensure(root / "a blank")
    argv = [
        server.program("psql"),
        "-XAtc",
        "SELECT current_user",
        server.url(root / "a blank"),
    ]
    assert subprocess.check_output(argv, text=True).strip() == "pfa"


@pytest.mark.skipif("PFA_TEST_PGBIN" not in os.environ, reason="PFA_TEST_PGBIN names no programs")
def test_programs_of_another_major_version_serve_as_well(root, monkeypatch):
    monkeypatch.setenv("PFA_PG_BINDIR", os.environ["PFA_TEST_PGBIN"])
    server.ensure(root)
    write_row(root)
    server.stop(root)
    server.ensure(root)
    assert row(root) == "kept"


# -- what was killed --------------------------------------------------------------------------


def test_a_killed_server_comes_back_with_its_data(root, stopped):
    server.ensure(root)
    os.kill(running_pid(root), signal.SIGKILL)
    server.ensure(root)
    assert row(root) == "kept"


@pytest.mark.long
def test_many_clients_find_a_killed_server_at_once(root, stopped):
    server.ensure(root)
    os.kill(running_pid(root), signal.SIGKILL)
    clients = [client(root) for _ in range(4)]
    assert [outcome(each) for each in clients] == [(0, "")] * 4


def test_a_server_whose_socket_was_removed_is_replaced(root, stopped):
    server.ensure(root)
    layout.place(root).socket.unlink()
    server.ensure(root)
    assert row(root) == "kept"


@pytest.mark.long
@pytest.mark.parametrize(
    "reached", [".init-*/global/pg_control", *long([".lock", ".init-*", "pgdata-*"])]
)
def test_a_client_killed_in_the_first_start_leaves_nothing_to_mend(root, reached):
    killed = client(root)
    wait_until(lambda: list(root.glob(reached)))
    killed.kill()
    outcome(killed)
    server.ensure(root)
    write_row(root)


@pytest.mark.long
def test_a_client_killed_while_the_server_starts_leaves_nothing_to_mend(root, stopped):
    killed = client(root)
    wait_until((stopped / "postmaster.pid").exists)
    killed.kill()
    outcome(killed)
    server.ensure(root)
    assert row(root) == "kept"


# -- stale files ------------------------------------------------------------------------------


@pytest.mark.variants(2)
@pytest.mark.parametrize("text", ["", "garbage\n", "-1\n", "99999999999999999999\n"])
def test_an_unreadable_pid_file_is_no_server(root, stopped, text):
    stale = stopped / "postmaster.pid"
    stale.write_text(text)
    os.utime(stale, (1_700_000_000, 1_700_000_000))
    server.ensure(root)
    assert row(root) == "kept"


@pytest.mark.long
def test_a_pid_file_that_stays_empty_is_no_server(root, stopped):
    (stopped / "postmaster.pid").touch()
    server.ensure(root)
    assert row(root) == "kept"


def test_a_pid_that_another_process_of_ours_got_is_no_server(root, stopped, sleeper):
    assert_survives_foreign_pid(root, stopped, sleeper())


@only_root
def test_a_pid_that_another_process_of_the_service_user_got_is_no_server(root, stopped, sleeper):
    service = accounts.account(root)
    assert_survives_foreign_pid(root, stopped, sleeper(user=service.uid, group=service.gid))


def assert_survives_foreign_pid(root: Path, data: Path, pid: int) -> None:
    place = layout.place(root)
    for path in (data / "postmaster.pid", place.sockets / f"{place.socket.name}.lock"):
        path.write_text(f"{pid}\n{data}\n1700000000\n5432\n{place.sockets}\n\n 1 1\nready\n")
        shutil.chown(path, data.stat().st_uid, data.stat().st_gid)
    assert not server.status(root).running
    assert server.stop(root) is False
    server.ensure(root)
    assert row(root) == "kept"
    assert process.is_alive(pid)


# -- asking and stopping ----------------------------------------------------------------------


def test_status_of_nothing_tells_so_and_creates_nothing(root):
    found = server.status(root)
    assert (found.running, found.pid, found.root) == (False, None, root)
    assert found.data_directory == root / f"pgdata-{layout.major(found.version)}"
    assert not root.exists()


def test_status_of_a_running_server_names_its_process(root, stopped):
    text = server.ensure(root)
    found = server.status(root)
    assert (found.running, found.conninfo, found.url) == (True, text, server.url(root))
    assert process.is_server_of(running_pid(root), found.data_directory)
    assert "ready to accept connections" in logs.tail(found.log)


def test_stopping_nothing_is_no_error(root):
    assert server.stop(root) is False
    assert not root.exists()


def test_stopping_ends_the_server_and_its_sessions(root, stopped):
    with psycopg.connect(server.ensure(root)) as connection:
        pid = running_pid(root)
        assert server.stop(root) is True
        assert not process.is_alive(pid)
        connection.close()
    assert server.stop(root) is False


# -- what cannot be ---------------------------------------------------------------------------


def test_data_of_another_major_version_are_refused_with_advice(root):
    other = root / "pgdata-14"
    other.mkdir(parents=True)
    (other / "PG_VERSION").write_text("14\n")
    if AS_ROOT:
        shutil.chown(other, "nobody")
    with pytest.raises(ConfigInvalid, match="is of PostgreSQL 14") as refused:
        server.ensure(root)
    assert refused.value.hint.startswith("type: pfa db upgrade;")
    assert [path.name for path in root.glob("pgdata-*")] == ["pgdata-14"]


def test_a_data_directory_that_is_none_is_not_overwritten(root):
    data = server.status(root).data_directory
    data.mkdir(parents=True)
    (data / "thesis.txt").touch()
    with pytest.raises(ConfigInvalid, match="is not a data directory"):
        server.ensure(root)


def test_a_server_that_cannot_start_shows_its_log_at_once(root, stopped):
    with (stopped / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(ConfigInvalid, match="does not start") as refused:
        server.ensure(root)
    assert "no_such_setting" in refused.value.hint
    assert str(root / "postgres.log") in refused.value.hint


def test_a_directory_without_programs_is_refused_with_advice(root, monkeypatch, tmp_path):
    monkeypatch.setenv("PFA_PG_BINDIR", str(tmp_path))
    with pytest.raises(ConfigInvalid, match="holds no PostgreSQL server") as refused:
        server.ensure(root)
    assert "PFA_DATABASE_URL" in refused.value.hint
    assert "PFA_PG_BINDIR" in refused.value.hint


@only_root
@pytest.mark.parametrize("kilobytes", [8, 48])
def test_a_full_disk_is_reported(root, kilobytes):
    root.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k,mode=755", "tmpfs", root]
    if subprocess.run(["mount", *options], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("this machine does not allow mounts")
    try:
        with pytest.raises(IoFailure, match=r"disk is full|No space left"):
            server.ensure(root / "pfa")
        assert list((root / "pfa").glob("*init*")) == []
    finally:
        end_all(root)
        subprocess.run(["umount", root], check=True)


@pytest.fixture
def crowded(root, stopped) -> Iterator[list[psycopg.Connection]]:
    """The root's server with all of its five connections taken, the owner's too; these."""
    server.ensure(root)
    with psycopg.connect(server.conninfo(root), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_connections = 5")
        connection.execute("ALTER SYSTEM SET superuser_reserved_connections = 0")
    server.stop(root)
    text = server.ensure(root)
    held = [psycopg.connect(text) for _ in range(5)]
    yield held
    for one in held:
        one.close()


def test_a_server_without_a_connection_to_spare_says_so(root, crowded, monkeypatch, capsys):
    pid = running_pid(root)
    assert server.ensure(root) == server.conninfo(root)
    monkeypatch.setattr("pfa_core.config.settings.default_root", lambda _: root)
    monkeypatch.setattr(connection, "CROWD_SECONDS", 0.1)
    assert main(["doctor", "-o", "json"]) != 0
    found = {item["check"]: item for item in json.loads(capsys.readouterr().out)["data"]}
    assert (found["database"]["result"], found["database"]["exitCode"]) == ("problem", 69)
    assert "no free connection" in found["database"]["finding"]
    assert found["schema"]["result"] == "skipped"
    assert running_pid(root) == pid


def test_a_command_waits_until_a_connection_is_free(root, crowded, monkeypatch, caplog):
    monkeypatch.setattr(connection, "_CROWD_NOTICE_SECONDS", 0.2)
    # The first use needs two of them, one after the other: the owner's, who makes the schema, and the program's.
    freeing = threading.Timer(0.5, crowded.pop().close)
    freeing.start()
    with Database(None, root) as db:
        assert db.read(lambda conn: conn.execute("SELECT current_user").fetchone()) == ("pfa_app",)
    freeing.join()
    assert "waiting for a free connection of the database" in caplog.text


def test_psql_gets_in_as_the_owner_where_the_program_finds_no_free_connection(
    root, stopped, monkeypatch
):
    with Database(None, root) as db:
        db.read(lambda _: None)
    with psycopg.connect(server.conninfo(root), autocommit=True) as owner:
        owner.execute("ALTER SYSTEM SET max_connections = 5")
        owner.execute("ALTER SYSTEM SET superuser_reserved_connections = 2")
    server.stop(root)
    text = server.ensure(root)
    monkeypatch.setattr(connection, "CROWD_SECONDS", 0.1)
    held = [psycopg.connect(text, user="pfa_app") for _ in range(3)]
    try:
        with Database(None, root) as db, pytest.raises(DatabaseUnavailable, match="free"):
            db.read(lambda conn: None)
        found = resolve(environ={"PFA_EMBEDDED_DIR": str(root), "HOME": str(root)})
        with psycopg.connect(database_url(found)) as owner:
            assert owner.info.user == "pfa"
    finally:
        for one in held:
            one.close()


def test_a_file_in_place_of_the_root_is_refused(root):
    root.touch()
    with pytest.raises(ConfigInvalid, match="cannot use"):
        server.ensure(root / "below")


# -- other users ------------------------------------------------------------------------------


@only_root
def test_root_runs_the_server_as_the_service_user(root, stopped):
    server.ensure(root)
    status = Path(f"/proc/{running_pid(root)}/status").read_text()
    other = pwd.getpwnam("nobody")
    words = {line.split()[0]: line.split()[1:] for line in status.splitlines() if line.split()}
    assert words["Uid:"] == [str(accounts.account(root).uid)] * 4
    assert "0" not in words["Gid:"]
    assert words["Groups:"] in ([], [str(other.pw_gid)])


@pytest.mark.slow
@only_root
def test_a_plain_user_has_a_server_of_their_own(root):
    other = pwd.getpwnam("nobody")
    root.mkdir()
    shutil.chown(root, other.pw_uid, other.pw_gid)
    assert outcome(client(root / "own", other.pw_uid)) == (0, "")
    assert (root / "own").stat().st_mode & 0o777 == 0o700
    # Root may look after it, and its owner goes on.
    write_row(root / "own")
    assert server.stop(root / "own") is True
    server.ensure(root / "own")
    server.stop(root / "own")
    assert outcome(client(root / "own", other.pw_uid)) == (0, "")
    assert row(root / "own") == "kept"


@pytest.mark.slow
@only_root
def test_another_users_server_is_refused(root):
    other = pwd.getpwnam("nobody")
    server.ensure(root)
    server.stop(root)
    shutil.chown(server.status(root).data_directory, "daemon")
    (root / ".lock").unlink()
    shutil.chown(root, other.pw_uid)
    code, said = outcome(client(root, other.pw_uid))
    assert (code, said.partition(":")[0]) == (1, "CONFIG_INVALID")
    assert "another user" in said


@pytest.mark.slow
@only_root
def test_the_error_for_a_user_without_passwd_entry_says_so(root):
    code, said = outcome(client(root, 54321))
    assert (code, said.partition(":")[0]) == (1, "CONFIG_INVALID")
    root.mkdir()
    os.chown(root, 54321, 54321)
    code, said = outcome(client(root, 54321))
    assert (code, said.partition(":")[0]) == (1, "CONFIG_INVALID")
    assert "no passwd entry" in said


@pytest.mark.long
@only_root
def test_programs_closed_to_the_service_user_are_copied(root, monkeypatch):
    closed = root.parent / "closed"
    copied = binaries.copy_installation(server.binaries(), closed / "lib" / "copy")
    closed.chmod(0o700)
    monkeypatch.setattr(binaries, "_package_binaries", lambda: copied)
    server.ensure(root)
    version = server.status(root).version
    exe = Path(f"/proc/{running_pid(root)}/exe").resolve()
    assert exe.is_relative_to(root / "server" / version)
    assert closed.stat().st_mode & 0o777 == 0o700


# -- where it lives ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uid", "environ", "expected"),
    [
        (0, {"PFA_EMBEDDED_DIR": "/srv/pfa"}, "/srv/pfa"),
        (0, {"XDG_DATA_HOME": "/x", "HOME": "/y"}, "/var/lib/pfa"),
        (65534, {"PFA_EMBEDDED_DIR": "/srv/pfa", "XDG_DATA_HOME": "/x"}, "/srv/pfa"),
        (65534, {"XDG_DATA_HOME": "/x", "HOME": "/y"}, "/x/pfa"),
        (65534, {"XDG_DATA_HOME": "relative", "HOME": "/y"}, "/passwd/.local/share/pfa"),
        (65534, {"HOME": "/y"}, "/passwd/.local/share/pfa"),
    ],
)
def test_the_default_root_follows_user_and_environment(monkeypatch, uid, environ, expected):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    entry = pwd.struct_passwd(("someone", "x", uid, uid, "", "/passwd", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
    assert server.default_root(environ) == Path(expected)


def test_a_relative_directory_is_refused():
    with pytest.raises(ConfigInvalid, match="not an absolute path"):
        server.default_root({"PFA_EMBEDDED_DIR": "here"})


# -- recovering -------------------------------------------------------------------------------


@pytest.mark.long
def test_a_recovered_server_does_not_answer_for_transactions_of_before(root):
    """An id that was lost with the crash is given to another transaction after it."""
    with Database(None, root, owner=True) as db:
        before = db.transact(begin)
        assert Ending(before, "", None).has_committed(db.connection)
        assert db.transact(begin).server == before.server
        with suppress(ProcessLookupError):
            os.kill(db.connection().info.backend_pid, signal.SIGKILL)
        for _ in range(100):
            with suppress(DatabaseUnavailable):
                assert db.transact(begin).server != before.server
                break
            time.sleep(0.1)
        with pytest.raises(OutcomeUnknown):
            Ending(before, "", None).has_committed(db.connection)


QUESTIONS = (
    "FATAL:  the database system is starting up\nFATAL:  the database system is shutting down\n"
)


def test_refused_clients_are_no_reason_of_a_servers_end(tmp_path):
    log = tmp_path / "postgres.log"
    log.write_text(QUESTIONS + "LOG:  redo starts at 0/1500000\n")
    owner = accounts.account(tmp_path)
    launch._refuse_final_death(log, 0, 1, owner)
    with pytest.raises(ConfigInvalid, match="does not start"):
        launch._refuse_final_death(log, 0, 3, owner)
    log.write_text(QUESTIONS + "FATAL:  could not load server certificate file\n")
    with pytest.raises(ConfigInvalid, match="does not start"):
        launch._refuse_final_death(log, 0, 1, owner)


@pytest.mark.long
@only_root
def test_a_directory_that_the_server_s_user_cannot_enter_is_named(root: Path) -> None:
    root.parent.chmod(0o700)
    with pytest.raises(ConfigInvalid) as raised:
        server.ensure(root)
    user = accounts.account(root).name
    assert raised.value.message == (
        f"the embedded database cannot be made: user {user}, as which PostgreSQL runs here,"
        f" cannot enter {root.parent}"
    )
    assert raised.value.hint.startswith(f"type: chmod o+x {root.parent}, or ")
    assert "PFA_EMBEDDED_DIR" in raised.value.hint
    assert list(root.glob("*init*")) == []
    root.parent.chmod(0o711)
    server.ensure(root)
    server.stop(root)


@only_root
def test_a_demo_without_a_server_ends_with_the_code_of_its_step(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root.parent.chmod(0o700)
    monkeypatch.setenv("PFA_EMBEDDED_DIR", str(root))
    assert main(["demo"]) == 78
    said = capsys.readouterr().err
    assert f"cannot enter {root.parent}" in said
    assert said.splitlines()[-1] == "the demo ended at step 1; its database is removed"
    assert "INTERNAL" not in said
