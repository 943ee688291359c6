"""Fields in JSON and in texts in the order of the field table."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pfa_core.model.record import FIELDS, in_field_order
from tests.cli.conftest import baseline_record, write_lines
from tests.program import Pfa, a_stage


@a_stage
def odd(pfa: Pfa) -> None:
    """A record with a field that is not in the table, a draft of it in the other order."""
    assert pfa("init", "--org", "HOLNG").code == 0
    records = [baseline_record(1, zone=[1, {"b": 2, "a": 1}], monthlyRate=3044)]
    assert pfa("sync", "pull", "--from", write_lines(pfa.folder / "m.jsonl", records)).code == 0
    changed = ("forecastEnd=2026-05-01", "forecastStart=2026-04-01", "dor=PROJECT")
    assert pfa("draft", "set", "H-001", *changed, "--into", "s").code == 0


def in_order(values: dict[str, Any]) -> bool:
    ranks = [list(FIELDS).index(name) if name in FIELDS else len(FIELDS) for name in values]
    return len(ranks) > 2 and ranks == sorted(ranks)


@pytest.mark.parametrize("words", [[], ["--limit", "1"], ["--page", "1"]], ids=" ".join)
def test_a_page_has_fields_in_the_table_s_order_and_the_stream_the_same_values(
    odd: Pfa, words: list[str]
) -> None:
    page = json.loads(odd("list", "-o", "json", *words).out, parse_float=Decimal)["data"]
    assert in_order(page[0]["data"])
    assert list(page[0]["data"])[-1] == "zone"
    streamed = [json.loads(odd("list", "-o", "jsonl").out, parse_float=Decimal)]
    everything = json.loads(odd("list", "-o", "json", "--all").out, parse_float=Decimal)["data"]
    assert streamed == page == everything


def test_a_record_s_layers_and_drafts_have_that_order_too(odd: Pfa) -> None:
    (detail,) = odd("show", "H-001", "-o", "json").json["data"]
    assert all(in_order(detail[layer]) for layer in ("baseline", "mine", "merged"))
    (draft,) = odd("draft", "list", "-o", "json").json["data"]
    assert list(draft["delta"]) == ["dor", "forecastStart", "forecastEnd"]
    assert "dor=PROJECT, forecastStart=" in odd("draft", "list").out
    assert "dor=PROJECT, forecastStart=" in odd("log", "--action", "save").out


def test_unknown_fields_come_last_in_their_own_order() -> None:
    values = {"zone": 1, "dor": 2, "area": 3, "pfaId": 4}
    assert list(in_field_order(values).items()) == [
        ("pfaId", 4),
        ("dor", 2),
        ("zone", 1),
        ("area", 3),
    ]
