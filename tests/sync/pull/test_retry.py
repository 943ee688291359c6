"""A pull that lost its session starts again, and finds all of its input again."""

from __future__ import annotations

import gzip
import io

import psycopg
import pytest

import pfa_core
from pfa_core import exact_json
from pfa_core.model.progress import Progress
from tests.factories import a_world, record
from tests.forms import long

LINES = "".join(exact_json.dumps(record(f"P-{number}")) + "\n" for number in range(1500)).encode()


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("piped", [True, False], ids=["pipe", "file"])
@pytest.mark.parametrize("file_format", ["auto", *long(["jsonl"])])
def test_a_pull_whose_session_was_ended_reads_everything_again(
    database_url, tmp_path, pack, piped, file_format
):
    world = a_world(database_url)
    (tmp_path / "a.jsonl").write_bytes(pack(LINES))
    tries = []

    def progress(step: Progress) -> None:
        tries.append(step.done)
        if len(tries) == 1:
            pid = world.db.connection().info.backend_pid
            with psycopg.connect(database_url, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s::int, 5000)", [pid])

    result = pfa_core.pull_files(
        world.db,
        world.principal(),
        ["-" if piped else str(tmp_path / "a.jsonl")],
        file_format=file_format,
        stdin=io.BytesIO(pack(LINES)),
        progress=progress,
    )
    assert tries == [1000, 1000, 1500]  # at last: all is read, and being stored
    assert (result.total, result.inserted, result.missing) == (1500, 1500, 0)
    assert world.rows("SELECT count(*), sum(version) FROM pfa_mirror") == [(1500, 1500)]
    assert world.rows("SELECT sum(record_count) FROM kpi_rollup") == [(1500,)]
