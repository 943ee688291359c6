"""A file of an organization that is cut off, altered or of something else stores nothing."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

import pfa_core
from pfa_core import errors
from pfa_core.files.bundle import BundleReader, BundleWriter, Part
from pfa_core.sql.tables import CARRIED
from pfa_core.store.database import Database
from tests.factories import SelfClosing, a_principal
from tests.forms import LONG, long
from tests.owners import an_owner
from tests.server import Server
from tests.transfer.test_move import lived
from tests.worlds import a_copy

Head = dict[str, Any]


@pytest.fixture(scope="module")
def exported(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a file of an organization."""
    file = tmp_path_factory.mktemp("exported") / "org.pfa"
    with a_copy(postgres, lived) as world:
        pfa_core.export_organization(world.owner, world.principal(), file)
    return file.read_bytes()


@pytest.fixture(scope="module")
def empty(postgres: Server, template: str) -> Iterator[Database]:
    """A database into which nothing is ever stored."""
    with postgres.database(template) as url:
        handle = SelfClosing(url)
        yield handle
        assert handle.read(lambda conn: [
            conn.execute(f"SELECT count(*) FROM {table}").fetchone() for table in CARRIED
        ]) == [(0,)] * len(CARRIED)  # fmt: skip
        handle.close()


def refused(
    empty: Database, folder: Path, content: bytes, how: type[errors.PfaError], why: str
) -> None:
    file = folder / "org.pfa"
    file.write_bytes(content)
    with pytest.raises(how, match=why) as stated:
        pfa_core.import_organization(empty, file)
    assert type(stated.value) is how
    assert "nothing was stored" in stated.value.message
    assert stated.value.hint


def remade(
    folder: Path,
    content: bytes,
    *,
    head: Callable[[Head], Head] = dict,
    part: Callable[[Part], Part] = lambda part: part,
) -> bytes:
    """The file as who knows its form would write it: with right checksums."""
    file, made = folder / "given", folder / "made"
    file.write_bytes(content)
    with file.open("rb") as source, made.open("wb") as target:
        reader = BundleReader(source, "given")
        given = {
            name: value for name, value in reader.head.items() if name not in ("format", "version")
        }
        writer = BundleWriter(target, head(given))
        for one in reader.parts(CARRIED):
            writer.add(one.table, iter([part(one).content]))
        for table in CARRIED:
            writer.rows.setdefault(table, 0)
        writer.finish()
    return made.read_bytes()


def test_a_file_that_is_made_anew_as_it_was_is_taken(
    postgres: Server, template: str, tmp_path: Path, exported: bytes
) -> None:
    """What the others refuse is what they changed."""
    with postgres.database(template) as url, SelfClosing(url) as db:
        (tmp_path / "org.pfa").write_bytes(remade(tmp_path, exported))
        assert pfa_core.import_organization(db, tmp_path / "org.pfa").records == 6
        with pytest.raises(errors.IllegalTransition, match="has an organization ORG already"):
            pfa_core.import_organization(db, tmp_path / "org.pfa")


@pytest.mark.parametrize("place", [0.5, *long([0.02, 0.1, 0.3, 0.9, 0.999])])
def test_a_file_that_is_cut_off_is_refused(
    empty: Database, tmp_path: Path, exported: bytes, place: float
) -> None:
    refused(
        empty,
        tmp_path,
        exported[: int(place * len(exported))],
        errors.InvalidData,
        "cut off|not a file",
    )


def test_a_file_without_its_last_line_or_with_more_is_refused(
    empty: Database, tmp_path: Path, exported: bytes
) -> None:
    lines = exported.rstrip(b"\n").rpartition(b"\n")
    refused(empty, tmp_path, lines[0] + b"\n", errors.InvalidData, "is cut off")
    refused(empty, tmp_path, exported + b"\n", errors.InvalidData, "bytes behind its end")
    refused(empty, tmp_path, b"pfaId\nP-1\n", errors.InvalidData, "not a file of an organization")
    refused(
        empty, tmp_path, b"[" * 9999 + b"\n", errors.InvalidData, "not a file of an organization"
    )
    with pytest.raises(errors.NotFound):
        pfa_core.import_organization(empty, tmp_path / "none")


@pytest.mark.parametrize("step", [4099, *long([997, 211])])
def test_one_changed_byte_is_found_wherever_it_is(
    empty: Database, tmp_path: Path, exported: bytes, step: int
) -> None:
    file = tmp_path / "org.pfa"
    for place in range(step // 2, len(exported), step):
        altered = bytearray(exported)
        altered[place] ^= 1
        file.write_bytes(altered)
        with pytest.raises((errors.InvalidData, errors.SchemaOutdated)):
            pfa_core.import_organization(empty, file)


def _replaced(table: str, one: bytes, other: bytes) -> Callable[[Part], Part]:
    """What replaces the first of these bytes in each part of the table."""

    def change(part: Part) -> Part:
        if part.table != table:
            return part
        return replace(part, content=part.content.replace(one, other, 1))

    return change


def _without(part: Part) -> Part:
    if part.table != "audit_log":
        return part
    return replace(part, content=part.content.split(b"\n", 1)[1])


_of_another = _replaced("pfa_member", b"ORG\t", b"FOREIGN\t")
_forged = _replaced("audit_log", b"save", b"undo")
_dearer = _replaced("pfa_mirror", b'"monthlyRate": 1001', b'"monthlyRate": 9001')
_refused = _replaced("pfa_mirror", b'"Rental"', b'"Theft"')


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(
            _of_another, "rows of another organization than ORG", id="another organization"
        ),
        pytest.param(_forged, "its audit trail is not whole", id="a forged entry"),
        pytest.param(_dearer, "its sums or overlays differ", id="another price", marks=LONG),
        pytest.param(_refused, "a row that pfa_mirror does not take", id="a bad row", marks=LONG),
        pytest.param(_without, "its audit trail is not whole", id="an entry less", marks=LONG),
    ],
)
def test_content_that_was_changed_with_its_checksums_is_found(
    empty: Database, tmp_path: Path, exported: bytes, change: Callable[[Part], Part], why: str
) -> None:
    content = remade(tmp_path, exported, part=change)
    assert content != exported
    refused(empty, tmp_path, content, errors.InvalidData, why)


@pytest.mark.parametrize(
    ("change", "how", "why"),
    [
        pytest.param(
            {"schema": 2}, errors.SchemaOutdated, "is of schema 2, this program's is", id="schema"
        ),
        pytest.param(
            {"columns": {}},
            errors.InvalidData,
            "does not say what it holds",
            id="columns",
            marks=LONG,
        ),
        pytest.param(
            {"organization": "../x"}, errors.InvalidData, "does not say", id="code", marks=LONG
        ),
        pytest.param(
            {"anchor": "1:aa"}, errors.InvalidData, "trail is not whole", id="anchor", marks=LONG
        ),
    ],
)
def test_a_head_that_does_not_fit_is_refused(
    empty: Database,
    tmp_path: Path,
    exported: bytes,
    change: Head,
    how: type[errors.PfaError],
    why: str,
) -> None:
    content = remade(tmp_path, exported, head=lambda head: {**head, **change})
    refused(empty, tmp_path, content, how, why)


def test_a_table_with_other_columns_is_refused(
    empty: Database, tmp_path: Path, exported: bytes
) -> None:
    def less(head: Head) -> Head:
        head["columns"]["pfa_view"].remove("content")
        return head

    content = remade(tmp_path, exported, head=less)
    refused(empty, tmp_path, content, errors.SchemaOutdated, "pfa_view has other columns")


def test_a_small_file_of_a_large_part_is_refused_without_being_unpacked(
    empty: Database, tmp_path: Path, exported: bytes
) -> None:
    head = exported.split(b"\n", 1)[0] + b"\n"
    packed = zlib.compress(b"ORG\t" * (8 << 20), 1)
    facts = {"part": "pfa_mirror", "rows": 1, "bytes": len(packed), "size": 1000,
             "sha256": sha256(packed).hexdigest()}  # fmt: skip
    content = head + json.dumps(facts).encode() + b"\n" + packed
    refused(empty, tmp_path, content, errors.InvalidData, "a part cannot be unpacked")


@pytest.mark.long
# Roles belong to the whole server: none is made on a server named for the tests, where it could remain.
@pytest.mark.skipif("PFA_TEST_DATABASE_URL" in os.environ, reason="makes roles of its own")
def test_the_owner_of_the_tables_need_be_no_superuser(
    postgres: Server, tmp_path: Path, exported: bytes
) -> None:
    """Policies are forced on the owner too, and COPY takes no table with any."""
    file = tmp_path / "org.pfa"
    file.write_bytes(exported)
    with an_owner(postgres) as url, SelfClosing(url) as db:
        assert pfa_core.import_organization(db, file).records == 6
        with psycopg.connect(url) as conn:
            assert conn.execute("SELECT count(*) FROM pfa_mirror").fetchone() == (6,)
        again = tmp_path / "again.pfa"
        pfa_core.export_organization(db, a_principal(), again)
        assert again.stat().st_size > 1000
