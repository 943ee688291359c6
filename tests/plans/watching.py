"""A handle on a database that keeps the plan of every statement it runs, as it was executed.

auto_explain reports them: the statements are the product's own, with their values, run once. What is
asked of a plan is which index and how many rows and blocks; never milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection

from tests.factories import SelfClosing

_REPORT = """
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_analyze = on;
    SET auto_explain.log_buffers = on;
    SET auto_explain.log_timing = off;
    SET auto_explain.log_format = json;
    SET client_min_messages = log"""
# Expressions alone: how rows are taken apart would be compiled for as long again, and moves no plan either.
_COMPILE = "SET jit = on; SET jit_above_cost = 0; SET jit_tuple_deforming = off"
_THROWN = ("Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter")
_BLOCKS = ("Shared Hit Blocks", "Shared Read Blocks")


class Watching(SelfClosing):
    """Reports go to `plans`. With `forced_jit` the server compiles every statement, if it can; without,
    jit is as on pfa's connections. A statement that a session repeats may be planned for all values
    at once: here no test depends on those before it, unless `prepare_threshold` says after how many times.
    """

    def __init__(
        self, conninfo: str, *, forced_jit: bool = False, prepare_threshold: int | None = None
    ) -> None:
        super().__init__(conninfo)
        self.forced_jit = forced_jit
        self.prepare_threshold = prepare_threshold
        self.plans: list[dict[str, Any]] = []

    def connection(self) -> Connection[Any]:
        before, now = self._connection, super().connection()
        if now is not before:
            now.execute(_REPORT)
            now.prepare_threshold = self.prepare_threshold
            if self.forced_jit:
                now.execute(_COMPILE)
            now.add_notice_handler(self._keep)
        return now

    def _keep(self, notice: psycopg.errors.Diagnostic) -> None:
        _, found, plan = (notice.message_primary or "").partition("plan:\n")
        if found:
            self.plans.append(json.loads(plan))

    def watch(self, work: Callable[[], Any]) -> tuple[Plans, Any]:
        """What `work` gives, and the plans of its statements."""
        self.connection()
        self.plans.clear()
        result = work()
        return Plans(list(self.plans)), result


@dataclass
class Plans:
    """The plans of some statements, in order."""

    reports: list[dict[str, Any]] = field(repr=False)

    def __str__(self) -> str:
        return "\n".join(line for report in self.reports for line in _drawn(report["Plan"]))

    def of(self, words: str) -> Plans:
        """Those of the statements that contain the words."""
        return Plans([report for report in self.reports if words in report["Query Text"]])

    def compiled(self) -> list[bool]:
        """Which statements that read a table were compiled by jit."""
        return [
            "JIT" in report
            for report in self.reports
            if any("Relation Name" in node for node in _nodes(report["Plan"]))
        ]

    def nodes(self) -> list[dict[str, Any]]:
        """Every node of every plan."""
        return [node for report in self.reports for node in _nodes(report["Plan"])]

    def on(self, table: str) -> list[dict[str, Any]]:
        """The nodes that read the table or one of its indexes and were run at all."""
        return [
            node
            for node in self.nodes()
            if node["Actual Loops"]
            and node["Node Type"] != "ModifyTable"
            and (
                node.get("Relation Name") == table
                or node.get("Index Name", "").startswith(f"{table}_")
            )
        ]

    def touched(self, table: str) -> int:
        """How many rows of the table were looked at, those thrown away too."""
        return round(
            sum(
                (node["Actual Rows"] + sum(node.get(name, 0) for name in _THROWN))
                * node["Actual Loops"]
                for node in self.on(table)
                if node["Node Type"] != "Bitmap Heap Scan"
            )
        )

    def blocks(self) -> int:
        """How many blocks were looked at, in memory or not."""
        return sum(report["Plan"].get(name, 0) for report in self.reports for name in _BLOCKS)

    def loops(self) -> int:
        """The most rows that any node gave in all its turns: a loop in a loop shows here."""
        return round(
            max(
                (node["Actual Rows"] + sum(node.get(name, 0) for name in _THROWN))
                * node["Actual Loops"]
                for node in self.nodes()
            )
        )

    def visited(self) -> int:
        """The rows that all nodes gave or threw away, in all their turns."""
        return round(
            sum(
                (node["Actual Rows"] + sum(node.get(name, 0) for name in _THROWN))
                * node["Actual Loops"]
                for node in self.nodes()
            )
        )

    def indexes(self, table: str) -> set[str]:
        return {node["Index Name"] for node in self.on(table) if "Index Name" in node}

    def kinds(self, table: str) -> set[str]:
        return {node["Node Type"] for node in self.on(table)}

    def shape(self) -> list[str]:
        """What was read and how, and how many rows: without costs and blocks."""
        return [line for report in self.reports for line in _drawn(report["Plan"])]


def assert_few_rows(plans: Plans, table: str, most: int) -> None:
    """The table was read by its indexes alone, and no more rows of it were looked at."""
    assert "Seq Scan" not in plans.kinds(table), str(plans)
    assert plans.touched(table) <= most, f"{table}\n{plans}"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _drawn(node: dict[str, Any], depth: int = 0) -> Iterator[str]:
    """A plan as an indented tree, for a test that fails."""
    what = node.get("Index Name") or node.get("Relation Name") or ""
    thrown = sum(node.get(name, 0) for name in _THROWN)
    rows, loops = node["Actual Rows"], node["Actual Loops"]
    yield f"{'  ' * depth}{node['Node Type']} {what}: {rows:g} rows x {loops}, {thrown} thrown away"
    for child in node.get("Plans", []):
        yield from _drawn(child, depth + 1)
