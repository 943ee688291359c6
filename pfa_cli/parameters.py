"""Command-line options for the parameters that the library's messages name.

The library writes a parameter in backquotes, `session_id` or `partial=True`; here it becomes the option
that sets it.
"""

from __future__ import annotations

import re

OPTIONS = {
    "actualized": "--actualized",
    "after": "--after",
    "all_fields": "--all-fields",
    "allow_emptied": "--allow-emptied",
    "allow_no_records": "--allow-no-records",
    "allow_older": "--allow-older",
    "anchor": "--anchor",
    "area_silo": "--area-silo",
    "assignments": "--set",
    "baseline": "--baseline",
    "by": "--by",
    "category": "--category",
    "changed": "--changed",
    "class_": "--class",
    "concurrency": "--concurrency",
    "contract": "--contract",
    "currency": "--currency",
    "dates": "--dates",
    "deadline": "--deadline",
    "decimal": "--decimal",
    "decimals": "--round",
    "delta": "FIELD=VALUE",
    "discontinued": "--discontinued",
    "dor": "--dor",
    "dry_run": "--dry-run",
    "encoding": "--encoding",
    "end": "--to",
    "end_from": "--end-from",
    "end_to": "--end-to",
    "ended": "--ended",
    "entry_ids": "--entry",
    "everyone": "--all",
    "everything": "--all",
    "field_map": "--field-map",
    "fields": "--take FIELD=mine|pems",
    "file_format": "--format",
    "id": "--id",
    "ids": "--id",
    "if_locked": "--if-locked",
    "limit": "--limit",
    "manufacturer": "--manufacturer",
    "max_money": "--max-money",
    "max_percent": "--max-percent",
    "max_records": "--max-records",
    "max_size": "--max-size",
    "model": "--model",
    "move": "--move",
    "no_actualized": "--no-actualized",
    "no_end": "--no-end",
    "no_price": "--no-price",
    "no_rate": "--no-rate",
    "no_start": "--no-start",
    "nulls": "--null",
    "old_bindir": "--old-bindir",
    "only": "--only",
    "operation": "OPERATION",
    "organization_id": "--org",
    "overlap": "--overlap",
    "override": "--override",
    "overwrite": "--overwrite",
    "page": "--page",
    "page_size": "--page-size",
    "partial": "--partial",
    "paths": "--from",
    "rate": "--rate",
    "rate_uom": "--rate-uom",
    "foreign_currency": "--foreign-currency",
    "redo": "--redo",
    "replace": "--replace",
    "rights": "--right",
    "role": "--role",
    "run_id": "--run",
    "search": "--search",
    "separator": "--separator",
    "service": "--service",
    "session": "--session",
    "session_id": "--session",
    "sheet": "--sheet",
    "shards": "--shards",
    "since": "--since",
    "since_run": "--since",
    "skip_missing": "--skip-missing",
    "sort": "--sort",
    "source": "--source",
    "start": "--from",
    "start_from": "--start-from",
    "start_to": "--start-to",
    "state": "--state",
    "status": "--status",
    "take": "--take",
    "thousands": "--thousands",
    "top": "--top",
    "transferable": "--transferable",
    "ttl": "--ttl",
    "until": "--until",
    "user_id": "--user",
    "values": "--set",
    "where": "--where",
    "without": "--without",
}
_PARAMETER = re.compile(r"`([a-z_]+)(?:=([A-Za-z0-9_]+))?`")
_FLAG = ("True", None)


def with_options(text: str) -> str:
    """Replace the parameters that a message names in backquotes by their options."""
    return _PARAMETER.sub(_option, text) if "`" in text else text


def option_of(parameter: str) -> str:
    """Return the option that sets a parameter; empty where none does."""
    return OPTIONS.get(parameter, "")


def _option(match: re.Match[str]) -> str:
    name, value = match.groups()
    if value == "False" and name == "actualized":
        return "--no-actualized"
    option = option_of(name)
    if not option:
        return match[0]
    return option if value in _FLAG else f"{option} {value}"
