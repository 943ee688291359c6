"""Catalog of commands: module and summary of each, in the order of the help page.

The help page is made from it, so that `pfa --help` loads no command.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """Where a command is implemented, and the first sentence of its help."""

    module: str
    summary: str


DAILY, EXCHANGE, ADMINISTRATION = "Daily work", "Exchange with PEMS", "Administration"

COMMANDS = {
    "list": Entry("records", "List merged records: PEMS values with your changes applied."),
    "show": Entry("records", "Show records field by field: PEMS value, your value, merged value."),
    "stats": Entry(
        "stats", "Sum counts and costs: plan, forecast, actual, variance, your changes."
    ),
    "status": Entry("status", "Show drafts, pending changes, conflicts and the next step."),
    "draft": Entry("drafts", "Write drafts: private changes over the PEMS values."),
    "session": Entry("session", "Manage sessions of drafts: list them, choose the current one."),
    "view": Entry(
        "view", "Manage saved views: filters under a name, for --view of other commands."
    ),
    "diff": Entry("diff", "Show each drafted field before and after, with its cost effect."),
    "report": Entry(
        "report", "Make a page of the figures, charts, changes, conflicts and PEMS data."
    ),
    "plan": Entry(
        "plan", "Freeze drafts for a review: exactly these, over exactly these values of PEMS."
    ),
    "changes": Entry(
        "changes", "Show records that changed in PEMS, field by field, with the cost effect."
    ),
    "blame": Entry("blame", "Show where each value of a record comes from: who, when, which run."),
    "commit": Entry("lifecycle", "Commit drafts, all or none; they wait for the next push."),
    "discard": Entry("lifecycle", "Discard drafts; the audit trail keeps their content."),
    "uncommit": Entry("lifecycle", "Turn committed changes back into drafts before they are sent."),
    "restore": Entry(
        "restore", "Restore discarded drafts, all or none; the newest of each record."
    ),
    "undo": Entry("undo", "Take back your last operation on drafts, all of it or nothing."),
    "revert": Entry(
        "revert", "Draft the values of before for your changes that are in PEMS already."
    ),
    "log": Entry("log", "Show the audit trail, verify it, archive its oldest entries."),
    "explain": Entry(
        "explain", "Explain an error code, a field, a state or a term, and what to do."
    ),
    "fields": Entry(
        "fields",
        "List the fields of a record: kind, unit, what may be done with them.",
    ),
    "demo": Entry("demo", "Run a whole example on bundled data; your own data is not touched."),
    "sample": Entry("sample", "Write the demo's files into a directory, to practise with."),
    "sync": Entry("sync", "Exchange data with PEMS: pull records, push changes, list runs."),
    "conflict": Entry("conflict", "Resolve fields changed both in PEMS and by you."),
    "sandbox": Entry("sandbox", "Run a practice PEMS on this machine until it is interrupted."),
    "init": Entry("members", "Create database and organization, with you as its admin, signed in."),
    "metrics": Entry(
        "metrics", "Show metrics of the organization in the text format of Prometheus."
    ),
    "auth": Entry("auth", "Manage tokens and signing keys: issue, refresh, list, revoke, rotate."),
    "org": Entry("members", "Manage organizations (tenants)."),
    "user": Entry("members", "Manage members of an organization, their roles and rights."),
    "config": Entry("config", "Show and change settings: what counts, and where it comes from."),
    "profile": Entry("profile", "Manage profiles: settings of one database and PEMS by name."),
    "db": Entry("db", "Manage the database: its schema and the embedded server."),
    "doctor": Entry("status", "Check the setup and suggest fixes."),
    "completion": Entry("completion", "Print the completion of your shell, or install it."),
    "schema": Entry("schema", "Show the JSON Schema of what a command writes or reads."),
    "version": Entry("status", "Show the version of this program and its dependencies."),
}

# The sections of the help page, and the first command of each; the others follow it.
SECTIONS = {DAILY: "list", EXCHANGE: "sync", ADMINISTRATION: "init"}
