"""Values and signatures: frozen, and by name from the fifth field and the sixth argument on."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any

import pytest

import pfa_cli
import pfa_core
from tests.sources import parsed

# Objects that a use case works with: what each of them changes is the reason.
MUTABLE = {
    "pfa_core.store.migrations.Attempts": "notes what an upgrade did on connections that broke",
    "pfa_core.audit.verify._Found": "counts links, entries and flaws while the chain is read",
    "pfa_core.pems.sandbox.faults.FaultBox": "takes rules while the sandbox serves",
    "pfa_core.pems.sandbox.faults._Counted": "counts the requests that a rule matched",
    "pfa_core.files.baseline.Leftovers": "counts what tables hold beside records",
    "pfa_core.files.bundle.BundleReader": "knows numbers and checksum once all was read",
    "pfa_core.files.bundle.BundleWriter": "counts rows and adds to the checksum",
    "pfa_core.files.trail.TrailReader": "knows the last link that it has read",
    "pfa_core.files.trail.TrailWriter": "adds to the checksum",
    "pfa_core.files.cell_reader._Seen": "counts cells that are read in one way, or in doubt",
    "pfa_core.files.sheets.workbook_parts.SheetFacts": "notes cells while a part is parsed",
    "pfa_core.files.packed.PackedChanges": "packs changes as a file is read",
    "pfa_core.drafts.diff.DiffTotals": "adds up the entries that a stream has yielded",
    "pfa_core.drafts.revert._Found": "keeps what is left as portions are read",
    "pfa_core.drafts.revert_decide.Reverting": "gets its fields one after the other",
    "pfa_core.drafts.compare.Comparison": "adds up the fields that a stream has yielded",
    "pfa_core.drafts.review._Sums": "adds up the modifications of a group",
    "pfa_core.drafts.save_preview.Preview": "adds up the plans of a save's portions",
    "pfa_core.drafts.save_preview._Tally": "adds up one field, or the cost",
    "pfa_core.drafts.save_relative.Computed": "keeps faults and skipped records as values are computed",
    "pfa_core.drafts.summary._Sums": "adds up the drafts of a session while they are read",
    "pfa_core.guarding.Tally": "adds up what records become while they are read",
    "pfa_core.model.changes.ChangeCount": "adds up the changes that a stream has yielded",
    "pfa_core.records._Count": "counts the records that a stream has handed on",
    "pfa_core.store.database.Database": "opens its connection at first use",
    "pfa_core.store.replica.Replica": "opens its connection at first use, and notes how far it came",
    "pfa_core.store.written.Written": "notes the place of each change",
    "pfa_core.sync.active_run.ActiveRun": "gets its lease after its history row",
    "pfa_core.sync.lease.Lease": "notes each heartbeat",
    "pfa_core.sync.pull.file_rows.FileRows": "notes the fields that each file carries",
    "pfa_core.sync.pull.intake.Intake": "counts records and keeps faults as they come",
    "pfa_core.sync.pull.page_store.PageStore": "adds up what each page changed",
    "pfa_core.sync.pull.recognition.Recognition": "notes the line that was read last",
    "pfa_core.sync.push.buffers.Buffer": "collects items for one transaction",
    "pfa_core.sync.push.claims.Claims": "knows the changes that are claimed and not settled",
    "pfa_core.sync.push.guard.PushGuard": "adds up what the run has claimed",
    "pfa_core.sync.push.halt.Halt": "keeps the first reason that wins",
    "pfa_core.sync.push.outage.OutageDetector": "holds failures back until it decides",
    "pfa_core.sync.push.retry_wait.RetryWait": "adds up its waits",
    "pfa_core.sync.push.tally.Tally": "counts results",
}
# Five fields or more, the first few of them by position: how many, and why.
BY_POSITION = {
    "pfa_core.drafts.save_preview.Preview": (2, "rates and masks; its sums follow"),
    "pfa_core.guarding.Tally": (1, "what costs depend on; its sums follow"),
    "pfa_core.errors.Fault": (4, "record, field, code and message read as a sentence"),
    "pfa_core.files.bundle.BundleReader": (2, "a file and its name; the rest follows"),
    "pfa_core.files.bundle.BundleWriter": (2, "a file and its head; the rest follows"),
    "pfa_core.files.trail.TrailReader": (2, "a file and its name; the rest follows"),
    "pfa_core.model.delta.Change": (3, "a record and its delta: what callers write by hand"),
    "pfa_core.model.exchange.Failure": (3, "code, message and advice read as a sentence"),
    "pfa_core.model.months.Moves": (6, "made of the columns of a row of sums, in their order"),
    "pfa_core.model.query.Query": (4, "filters, order, start: what callers write by hand"),
    "pfa_core.model.record.Field": (4, "a row of the table of fields"),
    "pfa_core.pems.sandbox.http.Response": (3, "status, body and headers, in the order of HTTP"),
    "pfa_core.store.audit.Entry": (2, "an id and the record that it is about"),
    "pfa_core.store.database.Database": (2, "an address, or a directory"),
    "pfa_core.store.replica.Replica": (2, "an address, and what named it"),
    "pfa_core.sync.pull.intake.Intake": (3, "what it is about; its counts follow"),
    "pfa_core.sync.pull.page_store.PageStore": (1, "the pull it belongs to; its sums follow"),
    "pfa_core.sync.push.buffers.Buffer": (3, "its size and time; its content follows"),
    "pfa_core.sync.push.halt.Halt": (4, "what it asks; what it decided follows"),
    "pfa_core.sync.push.outage.OutageDetector": (1, "its threshold; what it decided follows"),
    "pfa_cli.envelopes.checks.Finding": (3, "a check, its result and its finding"),
    "pfa_cli.render.formats.Look": (2, "a format and its columns"),
}
FROM = 5


@cache
def _dataclasses() -> dict[str, type]:
    """Find the dataclasses of both packages, by module and name."""
    found = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in _all()}
    assert len(found) > 100
    return found


def _all() -> Iterator[type]:
    for package in (pfa_core, pfa_cli):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                yield from _of(vars(importlib.import_module(module.name)), module.name)


def _of(scope: dict[str, Any], module: str) -> Iterator[type]:
    for item in list(scope.values()):
        if isinstance(item, type) and item.__module__ == module and is_dataclass(item):
            yield item


def _positional(kind: type) -> int:
    """Count the fields that a call may give by position."""
    return sum(item.init and not item.kw_only for item in fields(kind))


def _thawed(kinds: dict[str, type]) -> set[str]:
    return {name for name, kind in kinds.items() if not kind.__dataclass_params__.frozen}


def _long(kinds: dict[str, type]) -> dict[str, int]:
    """Count the fields by position of dataclasses that have five fields or more."""
    return {
        name: _positional(kind)
        for name, kind in kinds.items()
        if len(fields(kind)) >= FROM and _positional(kind)
    }


def test_values_are_frozen_and_objects_that_change_are_listed_with_a_reason():
    assert _thawed(_dataclasses()) == set(MUTABLE)


def test_from_five_fields_on_they_are_given_by_name_but_for_the_first_few_that_are_listed():
    assert _long(_dataclasses()) == {name: most for name, (most, _) in BY_POSITION.items()}


def test_a_fifth_value_by_position_is_refused():
    with pytest.raises(TypeError, match="positional"):
        pfa_core.Principal("max", "RIO", frozenset(), "t1", "k1")
    assert pfa_core.Principal(
        user_id="max", organization_id="RIO", rights=frozenset(), token_id="t1"
    )


def test_the_checks_find_what_breaks_the_rule():
    @dataclass
    class Thawed:
        one: int

    @dataclass(frozen=True)
    class Long:
        a: int
        b: int
        c: int
        d: int
        e: int

    kinds: dict[str, type] = {"Thawed": Thawed, "Long": Long}
    assert _thawed(kinds) == {"Thawed"}
    assert _long(kinds) == {"Long": 5}


MOST_BY_POSITION = 5


def _walls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Find the functions that take more by position than one can tell apart.

    Typer calls the function of a command by name only.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not any(map(_is_command, node.decorator_list)):
            names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
            most = len(names) - (names[:1] in (["self"], ["cls"]))
            if most > MOST_BY_POSITION:
                yield node.name, most


def _is_command(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "command"


def test_functions_take_at_most_five_arguments_by_position():
    assert len(parsed()) > 200
    found = {path.name: walls for path, tree in parsed() if (walls := [*_walls(tree)])}
    assert found == {}


def test_a_sixth_argument_by_position_is_found_and_one_by_name_is_not():
    assert [*_walls(ast.parse("def wall(a, b, c, d, e, f): ..."))] == [("wall", 6)]
    assert [*_walls(ast.parse("class A:\n    def wall(self, a, b, c, d, e, f): ..."))] == [
        ("wall", 6)
    ]
    assert not [*_walls(ast.parse("def few(a, b, c, d, e, *, f): ..."))]
    assert not [*_walls(ast.parse("@command(group)\ndef typed(a, b, c, d, e, f): ..."))]
