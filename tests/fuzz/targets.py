"""The parsers of the program, each with what it may raise and inputs to begin with.

A parser gets bytes. It reads them, or refuses them with an error of the program; anything else is a finding.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import xlsxwriter

import pfa_core
from pfa_core import exact_json
from pfa_core.access.tokens.jwt import Claims, full_grant, sign, verify
from pfa_core.access.tokens.keyring import Keyring, SigningKey
from pfa_core.config.settings import Secret
from pfa_core.errors import PfaError
from pfa_core.exact_json import JsonFault
from pfa_core.files.baseline import read_baseline
from pfa_core.files.bundle import BundleReader, BundleWriter
from pfa_core.files.deltas import read_delta_file

# What digests an entry has no public name: the database does it too.
from pfa_core.files.trail import TrailHead, TrailReader, TrailWriter, _row  # pyright: ignore[reportPrivateUsage]
from pfa_core.model.change_order import decode_place
from pfa_core.model.cursor import decode_cursor
from pfa_core.model.ordering import CHANGES
from pfa_core.model.principal import Role
from pfa_core.model.query import DEFAULT_SORT, Filters
from pfa_core.model.where.parser import parse
from pfa_core.pems.mapping.field_map import load_field_map
from pfa_core.pems.services.grid import decode_page

# What reads the bytes of an answer has no public name: around it stands the request.
from pfa_core.pems.services.grid_reader import _parse  # pyright: ignore[reportPrivateUsage]
from pfa_core.pems.services.screen import _document  # pyright: ignore[reportPrivateUsage]

CORPUS = Path(__file__).parent / "corpus"
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
KEY = Keyring((SigningKey(Secret("a key of at least thirty-two bytes, as it should be")),))
NAMES = {"pfs_id": "pfaId", "pfs_a_org": "organization", "pfs_f_rental": "monthlyRate"}


@dataclass(frozen=True)
class Target:
    """A parser, what it refuses inputs with, and inputs that are made when they are asked for."""

    read: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...] = (PfaError,)
    made: Callable[[], list[bytes]] = list

    def take(self, content: bytes) -> None:
        """Read the content; a refusal is as good."""
        try:
            self.read(content)
        except self.refuses:
            return


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _delta(file_format: str) -> Callable[[bytes], object]:
    def read(content: bytes) -> object:
        found = read_delta_file("-", file_format, stdin=io.BytesIO(content))
        return list(found.changes), found.faults

    return read


def _baseline(file_format: str) -> Callable[[bytes], object]:
    def read(content: bytes) -> object:
        return list(read_baseline("-", file_format, content=io.BytesIO(content)))

    return read


def _cursor(decode: Callable[[str], object]) -> Callable[[bytes], object]:
    """A list as a cursor holds it, in base64; anything else as it is."""

    def read(content: bytes) -> object:
        return decode(
            urlsafe_b64encode(content).decode() if content[:1] == b"[" else _text(content)
        )

    return read


def _filters(content: bytes) -> object:
    """Lines NAME=VALUE, as options and files of views give them."""
    given: dict[str, Any] = {}
    for line in _text(content).splitlines()[:20]:
        name, _, value = line.partition("=")
        if name in ("category", "id", "model", "contract", "state", "session"):
            given[name] = (*given.get(name, ()), value)
        elif name in ("start_from", "start_to", "end_from", "end_to", "search", "where", "today"):
            given[name] = value
        elif name == "sort":
            pfa_core.parse_sort(value)
    return Filters(**given)


@cache
def _folder() -> Path:
    return Path(_kept().name)


@cache
def _kept() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="pfa-fuzz-")


def _field_map(content: bytes) -> object:
    path = _folder() / "map.toml"
    path.write_bytes(content)
    return load_field_map(path)


def _configuration(content: bytes) -> object:
    path = _folder() / "pfa" / "config.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)
    found = pfa_core.resolve(environ={"XDG_CONFIG_HOME": str(_folder()), "HOME": str(_folder())})
    return pfa_core.pems_profile(found, "ORG", {})


def _environment(content: bytes) -> object:
    """Lines NAME=VALUE; without NUL, which no environment can have."""
    given = {"HOME": str(_folder() / "none"), "XDG_CONFIG_HOME": str(_folder() / "none")}
    for line in _text(content).replace("\0", "").splitlines()[:20]:
        name, _, value = line.partition("=")
        given[f"PFA_{name}"] = value
    return pfa_core.pems_profile(pfa_core.resolve(environ=given), "ORG", given)


def _grid(content: bytes) -> object:
    return decode_page(_parse(content), NAMES)


def _json(content: bytes) -> object:
    """The parser of lines takes no more than the strict one, and finds the same."""
    text = _text(content)
    found = exact_json.loads_line(text)
    if repr(found) != repr(exact_json.loads_strict(text)):
        raise AssertionError("two parsers find two values")
    return found


def _screen(content: bytes) -> object:
    return _document(exact_json.loads_strict(_text(content)))


def _in_workbook(content: bytes) -> object:
    """The content as the first sheet of a workbook: of a bent archive a reader sees nothing."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_workbook())) as source, zipfile.ZipFile(made, "w") as target:
        for name in source.namelist():
            is_sheet = name == "xl/worksheets/sheet1.xml"
            target.writestr(name, content if is_sheet else source.read(name))
    return _delta("xlsx")(made.getvalue())


def _bundle(content: bytes) -> object:
    return list(BundleReader(io.BytesIO(content), "org.pfa").parts(("pfa_member", "pfa_mirror")))


def _bundles() -> list[bytes]:
    made = io.BytesIO()
    writer = BundleWriter(made, {"organization": "ORG", "columns": {"pfa_member": ["user_id"]}})
    for table in ("pfa_member", "pfa_mirror"):
        writer.add(table, iter([b"ORG\tann\n", b"ORG\tben\n"]))
    writer.finish()
    return [made.getvalue()]


def _trail(content: bytes) -> object:
    """The content as lines of an archive: of bent packed bytes a reader sees nothing."""
    return list(TrailReader(io.BytesIO(gzip.compress(content, 1)), "trail.gz").entries())


def _trails() -> list[bytes]:
    made = io.BytesIO()
    TrailWriter(made, TrailHead("ORG", 1, 1, "", NOW)).finish(2, b"")
    head = gzip.decompress(made.getvalue()).splitlines(keepends=True)[0]
    reader, at = TrailReader(io.BytesIO(gzip.compress(head)), "trail.gz"), NOW.isoformat()
    stem = f'"at": "{at}", "userId": "ann", "action": "save", "reason": "why, \\"so\\""'
    entries = [
        f'{{"entryId": "e{number}", {stem}, "before": {{"a": 1.50}}}}\n' for number in (1, 2)
    ]
    digests = (reader._entry_digest(reader._entry(line), "e1") for line in entries)
    content = sha256(b"".join(digests)).digest()
    facts = sha256(_row(["ORG", "e1", "2", reader._epoch({"at": at})]) + content).digest()
    digest = sha256((1).to_bytes(8, "big") + facts).hexdigest()
    link = f'{{"link": 1, "linkId": "e1", "entries": 2, "at": "{at}", "digest": "{digest}"}}\n'
    lines = head + link.encode() + "".join(entries).encode()
    end = {
        "end": {"links": 1, "entries": 2},
        "digest": digest,
        "sha256": sha256(lines).hexdigest(),
    }
    return [lines + json.dumps(end).encode() + b"\n"]


@cache  # to write it takes four times as long as to read what is put into it
def _workbook() -> bytes:
    made = io.BytesIO()
    book = xlsxwriter.Workbook(made)
    sheet = book.add_worksheet("records")
    for number, line in enumerate(
        (["pfaId", "monthlyRate", "model"], ["P-1", 1200.5, "a"], ["P-2", 3, "b"])
    ):
        sheet.write_row(number, 0, line)
    book.close()
    return made.getvalue()


def _sheets() -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(_workbook())) as book:
        return [book.read("xl/worksheets/sheet1.xml")]


def _tokens() -> list[bytes]:
    claims = Claims(
        user_id="ann", token_id="t", issued_at=NOW, expires_at=NOW.replace(year=2030),
        organizations={"ORG": full_grant(Role.ADMIN)},
    )  # fmt: skip
    return [sign(claims, KEY).encode()]


TARGETS: Mapping[str, Target] = {
    "json": Target(_json, (JsonFault, PfaError)),
    "delta-json": Target(_delta("json")),
    "delta-jsonl": Target(_delta("jsonl")),
    "delta-csv": Target(_delta("csv")),
    "delta-tsv": Target(_delta("tsv")),
    "delta-xlsx": Target(_delta("xlsx"), made=lambda: [_workbook()]),
    "workbook": Target(_in_workbook, made=_sheets),
    "records-jsonl": Target(_baseline("jsonl")),
    "records-json": Target(_baseline("json")),
    "records-csv": Target(_baseline("csv")),
    "records-auto": Target(_baseline("auto")),
    "bundle": Target(_bundle, made=_bundles),
    "trail": Target(_trail, made=_trails),
    "field-map": Target(_field_map),
    "filters": Target(_filters),
    "where": Target(lambda content: parse(_text(content))),
    "cursor": Target(_cursor(lambda text: decode_cursor(DEFAULT_SORT, text))),
    "place": Target(_cursor(lambda text: decode_place(CHANGES.parse(), text))),
    "token": Target(lambda content: verify(_text(content), KEY, NOW), made=_tokens),
    "configuration": Target(_configuration),
    "environment": Target(_environment),
    "grid": Target(_grid, (PfaError, ValueError, RecursionError)),
    "screen": Target(_screen, (PfaError, JsonFault)),
}


def pool(name: str) -> list[bytes]:
    """List the inputs that those of a target are made of."""
    kept = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    return [*kept, *TARGETS[name].made(), b""]
