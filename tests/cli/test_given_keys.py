"""Ids and values that are given in another form than the mirror's."""

from __future__ import annotations

import json
from typing import Any

import pytest

import pfa_core
from pfa_core.errors import InvalidRequest
from pfa_core.model.query import Filters
from tests.cli.conftest import baseline_record, six_records
from tests.program import Pfa, a_stage

ID = "Y-\u00e9 1"
OTHER = "Gr\u00fa a"
FORMS = {
    "decomposed": "Y-e\u0301 1",
    "no-break": "Y-\u00e9\u00a01",
    "blanks": " Y-\u00e9 1\t",
    "the same": ID,
}
VALUES = {
    "decomposed": "Gru\u0301 a",
    "no-break": "Gr\u00fa\u00a0a",
    "blanks": "\u00a0Gr\u00fa a ",
    "the same": OTHER,
}
FIELDS = {
    "--category": "category",
    "--class": "class",
    "--area-silo": "areaSilo",
    "--manufacturer": "manufacturer",
    "--model": "model",
    "--contract": "contract",
}
forms = pytest.mark.parametrize("form", sorted(FORMS))


@a_stage
def keyed(pfa: Pfa) -> None:
    """Six records and one whose id and texts have an accent and a blank."""
    six_records(pfa)
    texts = dict.fromkeys(FIELDS.values(), VALUES["decomposed"])
    row: dict[str, Any] = {**baseline_record(7), **texts, "pfaId": FORMS["decomposed"]}
    path = pfa.folder / "keyed.jsonl"
    path.write_text(json.dumps(row) + "\n")
    assert pfa("sync", "pull", "--from", str(path)).code == 0


def ids(pfa: Pfa, *words: str) -> list[str]:
    ran = pfa("list", "-o", "ids", *words)
    assert ran.code == 0
    return ran.lines


@pytest.mark.slow
@pytest.mark.variants(2)
@forms
def test_a_filter_finds_what_the_mirror_has(keyed: Pfa, form: str) -> None:
    assert ids(keyed, "--id", FORMS[form]) == [ID]
    for option in (*FIELDS, "--search"):
        assert ids(keyed, option, VALUES[form]) == [ID], option
        assert ids(keyed, option, VALUES[form] + "x") == [], option
    assert ids(keyed, "--search", FORMS[form]) == [ID]


def test_a_blank_value_does_not_mean_all(keyed: Pfa) -> None:
    assert ids(keyed, "--category", " ") == []
    assert ids(keyed, "--id", "\u00a0") == []
    assert ids(keyed, "--search", " ", "--category", OTHER) == [ID]
    assert keyed("show", " ").code == 6
    assert keyed("log", " ").code == 6


@pytest.mark.variants(2)
@forms
def test_commands_take_an_id_in_any_form(keyed: Pfa, form: str) -> None:
    given = FORMS[form]
    assert [item["pfaId"] for item in keyed("show", given, "-o", "json").json["data"]] == [ID]
    assert keyed("show", given + "x").code == 6
    made = keyed("draft", "set", given, "monthlyRate=1", "purchasePrice=2", "-o", "json").json
    assert [item["pfaId"] for item in made["saved"]] == [ID]
    assert keyed("log", given, "-o", "csv", "--columns", "pfaId").lines == ["pfaId", ID]
    assert keyed("draft", "unset", given, "purchasePrice").code == 0
    assert keyed("diff", "--id", given).code == 0
    assert keyed("discard", "--id", given).code == 0
    assert keyed("restore", "--id", given).code == 0
    assert keyed("commit", "--id", given).code == 0
    assert keyed("uncommit", "--id", given).code == 0
    assert ids(keyed, "--state", "draft") == [ID]


def test_filters_and_selections_hold_the_form_of_the_mirror() -> None:
    assert Filters(id=(FORMS["no-break"],), model=(VALUES["decomposed"],)) == Filters(
        id=(ID,), model=(OTHER,)
    )
    selection = pfa_core.Selection(ids=(FORMS["blanks"],), expected_versions={FORMS["no-break"]: 1})
    assert (selection.ids, dict(selection.expected_versions)) == ((ID,), {ID: 1})
    with pytest.raises(InvalidRequest, match="not a valid text"):
        Filters(id=("\ud800",))
