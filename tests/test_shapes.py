"""Shapes and readers: they refuse the same, and a shape names every fault with its place."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pfa_core.config.pems import pems_names, pems_ownership, pems_profile
from pfa_core.config.pems_source import GRID_KEYS, PEMS_KEYS, SCREEN_KEYS
from pfa_core.config.settings import PROFILE_KEYS, Flags, Settings, resolve
from pfa_core.config.shape import ConfigFile, GridTable, PemsTable, Profile, ScreenTable
from pfa_core.errors import ConfigInvalid, Fault, FaultCode, InvalidData
from pfa_core.files.delta_shape import DeltaFile
from pfa_core.files.deltas import read_change, read_delta_file
from pfa_core.model.record import EDITABLE, FIELDS
from pfa_core.pems.mapping import field_map
from pfa_core.pems.mapping.shape import FieldMapFile
from pfa_core.pems.services.answers import RecordAnswer, WriteAnswer, why_not
from pfa_core.shapes import find_faults, place_text

URL = "https://pems.example"
Wrongs = list[tuple[str, str, str]]  # position, field, code


def listed(faults: Any) -> Wrongs:
    return [(fault.position, fault.field, str(fault.code)) for fault in faults]


# -- the configuration file -------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pfa").mkdir()
    return tmp_path


def resolved(folder: Path, text: str) -> Settings:
    path = folder / "pfa" / "config.toml"
    path.write_text(text)
    path.chmod(0o600)
    return resolve(Flags(), {"XDG_CONFIG_HOME": str(folder), "PFA_EMBEDDED_DIR": "/x"})


def test_every_fault_of_a_profile_is_said_at_once_with_code_and_place(folder: Path) -> None:
    text = """
[profile.x]
[profiles.default]
organisation = "HOLNG"
output = 5
[profiles.default.pems]
timeout = 0
[profiles.other]
output = 5
"""
    with pytest.raises(ConfigInvalid) as caught:
        resolved(folder, text)
    assert caught.value.message.endswith(
        "config.toml has the unknown section [profile] (4 problems in all)"
    )
    assert sorted(listed(caught.value.details)) == [
        ("[profiles.default.pems]", "timeout", "INVALID_RANGE"),
        ("[profiles.default]", "organisation", "UNKNOWN_FIELD"),
        ("[profiles.default]", "output", "INVALID_TYPE"),
        ("file", "profile", "UNKNOWN_FIELD"),
    ]
    messages = {fault.field: fault.message for fault in caught.value.details}
    assert messages["organisation"] == "unknown key; did you mean organization?"
    assert messages["profile"] == "unknown key; did you mean profiles?"
    assert messages["timeout"] == "must be a number from 0.1 to 3600"


PEMS = """
[profiles.default.pems]
urll = "x"
retries = 1.5
writer = "soap"
grid = { page_size = 0, nam = "x" }
screen = 5
ownership = { dor = "nobody", pfaId = "mine" }
[profiles.default.pems.organizations.RIO]
timeout = "5"
[profiles.default.pems.organizations.OTHER]
timeout = "5"
"""


@pytest.mark.parametrize("read", [pems_profile, pems_names, pems_ownership])
def test_every_fault_of_the_settings_of_pems_is_said_at_once(read: Any, folder: Path) -> None:
    found = resolved(folder, PEMS)
    with pytest.raises(ConfigInvalid) as caught:
        read(found, "RIO", {"PFA_PEMS_URL": URL, "PFA_PEMS_WRITER": "mail"})
    place = "[profiles.default.pems"
    assert sorted(listed(caught.value.details)) == sorted(
        [
            (f"{place}]", "urll", "UNKNOWN_FIELD"),
            (f"{place}]", "retries", "INVALID_TYPE"),
            (f"{place}]", "writer", "INVALID_ENUM_VALUE"),
            (f"{place}.grid]", "page_size", "INVALID_RANGE"),
            (f"{place}.grid]", "nam", "UNKNOWN_FIELD"),
            (f"{place}]", "screen", "INVALID_TYPE"),
            (f"{place}.ownership]", "dor", "INVALID_ENUM_VALUE"),
            (f"{place}.ownership]", "pfaId", "UNKNOWN_FIELD"),
            (f"{place}.organizations.RIO]", "timeout", "INVALID_TYPE"),
            ("environment", "PFA_PEMS_WRITER", "INVALID_ENUM_VALUE"),
        ]
    )
    assert caught.value.message.startswith("[profiles.default.pems] has the unknown key 'urll'")
    assert caught.value.message.endswith("(10 problems in all)")


def test_no_value_of_the_file_shows_in_a_fault(folder: Path) -> None:
    found = resolved(folder, "[profiles.default.pems]\npassword = 'hunter2'\ntenant = 'hunter2ü'")
    with pytest.raises(ConfigInvalid) as caught:
        pems_profile(found, "RIO", {"PFA_PEMS_URL": URL})
    assert len(caught.value.details) == 2
    assert "hunter2" not in str(caught.value.details) + caught.value.message + caught.value.hint


def test_a_profile_that_is_not_there_is_the_only_fault(folder: Path) -> None:
    (folder / "pfa" / "config.toml").write_text("[profiles.a]\noutput = 5\n")
    environ = {"XDG_CONFIG_HOME": str(folder), "PFA_EMBEDDED_DIR": "/x"}
    with pytest.raises(ConfigInvalid, match="profile not found") as caught:
        resolve(Flags(profile="b"), environ)
    assert caught.value.details == ()


VALUES = {
    "tenant": ["T", "", "a b", "a\n", "ü", 5],
    "organization": ["RIO", " x", True],
    "writer": ["rest", "screen", "", "soap", 1],
    "timeout": [5, 0.1, 3600, 0, 3601, True, "5", float("nan"), float("inf")],
    "idempotency_keys": [True, False, 1, "no"],
    "retries": [0, 20, 21, -1, 1.5, True],
    "retry_delay": [0, 3600, -0.1, "x"],
    "grid": [{}, {"name": "G", "page_size": 1}, {"page_size": 0}, {"page_size": True}, {"x": 1}, 5],
    "screen": [{}, {"timezone": "+0130"}, {"timezone": "EST"}, {"timezone": "-2500"}, {"name": 5}],
    "ownership": [{}, {"default": "ask"}, {"dor": "pems"}, {"dor": "x"}, {"pfaId": "mine"}, {"dor": 5}, []],
    "url": [URL, 5],
    "unknown": ["x"],
}  # fmt: skip
TABLES = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in VALUES.items()}
)


def refusal_of(settings: Settings) -> ConfigInvalid | None:
    try:
        pems_profile(settings, "RIO", {})
    except ConfigInvalid as refusal:
        return refusal
    return None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TABLES, st.none() | TABLES)
def test_reader_and_shape_of_the_settings_of_pems_refuse_the_same(
    folder: Path, shared: dict[str, Any], own: dict[str, Any] | None
) -> None:
    table: dict[str, Any] = {"url": URL, **shared}
    if own is not None:
        table["organizations"] = {"RIO": own}
    base = resolved(folder, "")
    found = find_faults(ConfigFile, {"profiles": {"default": {"pems": table}}})
    values = {**{name: getattr(base, name) for name in base.__slots__}, "values": {"pems": table}}
    if refusal := refusal_of(Settings(**values)):
        assert found
        assert len(refusal.details) == len(found)
    else:
        # The organization's value takes the place of the profile's, which is looked at all the same.
        assert all(fault.place[3:4] != ("organizations",) for fault in found)
        assert {fault.place[3] for fault in found} <= set(own or ())


def test_the_shape_has_the_keys_that_the_reader_knows() -> None:
    assert list(Profile.model_fields) == list(PROFILE_KEYS)
    assert list(PemsTable.model_fields) == list(PEMS_KEYS)
    assert list(GridTable.model_fields) == list(GRID_KEYS)
    assert list(ScreenTable.model_fields) == list(SCREEN_KEYS)


# -- field maps -------------------------------------------------------------------------------


def test_every_fault_of_a_field_map_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(
        """
[field]
[fields]
a = "pfaId"
b = "monthlyrate"
[transforms]
model = "shrink"
[defaults]
pfaId = "x"
class = ["x"]
[screen.fields]
A = "pfaId"
"""
    )
    with pytest.raises(ConfigInvalid) as caught:
        field_map.load_field_map(path)
    assert sorted(listed(caught.value.details)) == [
        ("[defaults]", "class", "INVALID_TYPE"),
        ("[defaults]", "pfaId", "READ_ONLY_FIELD"),
        ("[fields]", "b", "UNKNOWN_FIELD"),
        ("[screen]", "fields", "MISSING_REQUIRED_FIELD"),
        ("[transforms]", "model", "INVALID_ENUM_VALUE"),
        ("field map", "field", "UNKNOWN_FIELD"),
    ]
    messages = {fault.field: fault.message for fault in caught.value.details}
    assert messages["b"] == "unknown field; did you mean monthlyRate?"
    assert messages["field"] == "unknown key; did you mean fields?"
    assert messages["fields"] == "does not name the organization"


NAMES = st.sampled_from(["pfaId", "organization", "model", "monthlyRate", "colour"])
MAPPED = st.dictionaries(st.sampled_from(["a", "b", "c"]), NAMES | st.just(5), max_size=3)
MAPS = st.fixed_dictionaries(
    {"fields": MAPPED | st.just(5)},
    optional={
        "transforms": st.dictionaries(
            NAMES, st.sampled_from(["trim", "shrink", {"multiply": Decimal(2)}, [5], ["trim", "trim"]]), max_size=2
        ),
        "defaults": st.dictionaries(NAMES, st.sampled_from(["x", 1, True, Decimal("1.5"), ["x"], {}]), max_size=2)
        | st.just([]),
        "screen": st.fixed_dictionaries({}, optional={"fields": MAPPED, "name": st.just("x")}),
        "other": st.just({}),
    },
)  # fmt: skip


@given(MAPS)
def test_reader_and_shape_of_a_field_map_refuse_the_same(content: Mapping[str, Any]) -> None:
    try:
        field_map._field_map(content, Path("map.toml"))
    except ConfigInvalid:
        assert find_faults(FieldMapFile, content)
    else:
        assert find_faults(FieldMapFile, content) == []


# -- delta files ------------------------------------------------------------------------------


def test_faults_of_a_delta_file_s_head_come_with_those_of_its_modifications() -> None:
    content = {
        "sesionId": 1,
        "organization": 5,
        "modifications": [{"pfaId": "a", "delt": {}}, {"pfaId": "b", "delta": {}}, 5],
    }
    with pytest.raises(InvalidData) as caught:
        read_delta_file("-", stdin=io.BytesIO(json.dumps(content).encode()))
    assert listed(caught.value.details) == [
        ("file", "organization", "INVALID_TYPE"),
        ("file", "sesionId", "UNKNOWN_FIELD"),
        ("modification 1", "'delt'", "UNKNOWN_FIELD"),
        ("modification 1", "delta", "MISSING_REQUIRED_FIELD"),
        ("modification 3", "", "INVALID_TYPE"),
    ]
    assert caught.value.message.endswith("nothing was saved (5 problems in all)")
    assert "did you mean delta?" in caught.value.details[2].message
    assert "did you mean sessionId?" in caught.value.details[1].message


PARTS = st.fixed_dictionaries(
    {},
    optional={
        "pfaId": st.sampled_from(["P-1", "x" * 200, "x" * 201, "", 5, None]),
        "delta": st.just({"model": "x"}),
        "changeReason": st.sampled_from([None, "why", "x" * 2000, "x" * 2001, 5]),
        "expectedVersion": st.sampled_from([None, 0, 3, -1, True, "1", Decimal("1.0")]),
        "other": st.just(1),
    },
)
HEADS = st.fixed_dictionaries(
    {"modifications": st.lists(PARTS, min_size=1, max_size=2)},
    optional={
        "sessionId": st.sampled_from([None, "s", "", " ", "x" * 201, 5]),
        "organization": st.sampled_from([None, "HOLNG", "  ", []]),
        "session": st.just("x"),
    },
)


@given(PARTS)
def test_reader_and_shape_of_a_modification_refuse_the_same(item: dict[str, Any]) -> None:
    read = read_change(item, "modification 1")
    found = find_faults(DeltaFile, {"modifications": [item]})
    assert bool(found) == isinstance(read, list)


@given(HEADS)
def test_reader_and_shape_of_a_delta_file_refuse_the_same(content: dict[str, Any]) -> None:
    found = find_faults(DeltaFile, content)
    try:
        read = read_delta_file("-", stdin=io.BytesIO(json.dumps(content, default=float).encode()))
    except InvalidData:
        assert found
    else:
        assert bool(found) == bool(read.faults)


# -- answers of PEMS --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "answer", "why"),
    [
        (RecordAnswer, {"version": "5", "data": {}, "more": 1}, ""),
        (RecordAnswer, {"version": True, "data": []},
         ": version must be a number of at most 18 digits, data must be an object"),
        (WriteAnswer, {}, ": newVersion is missing"),
        (WriteAnswer, {"newVersion": 7}, ""),
    ],
)  # fmt: skip
def test_an_answer_says_in_what_it_is_not_of_its_shape(shape: Any, answer: Any, why: str) -> None:
    assert why_not(shape, answer) == why


# -- places, and what is loaded ---------------------------------------------------------------


def test_a_place_is_written_with_positions_from_one() -> None:
    place = ("modifications", 2, "delta", "odd key")
    assert place_text(place) == "modifications 3.delta.'odd key'"
    (found,) = find_faults(DeltaFile, {"modifications": [{"pfaId": "a", "delta": {}, "x": 1}]})
    assert found.as_fault("there") == Fault(
        "", "x", FaultCode.UNKNOWN_FIELD, "unknown key", position="there"
    )


def test_fields_of_a_map_and_owners_are_those_of_the_record() -> None:
    every = {name: name for name in FIELDS}
    assert find_faults(FieldMapFile, {"fields": every}) == []
    owned = dict.fromkeys(EDITABLE, "mine")
    assert find_faults(ConfigFile, {"profiles": {"a": {"pems": {"ownership": owned}}}}) == []


READS = """
import sys, io
from pathlib import Path
from pfa_core.config.settings import resolve, Flags
from pfa_core.config.pems import pems_profile, pems_ownership
from pfa_core.pems.mapping.field_map import load_field_map
from pfa_core.files.deltas import read_delta_file
folder = sys.argv[1]
environ = {"XDG_CONFIG_HOME": folder, "PFA_EMBEDDED_DIR": "/x"}
found = resolve(Flags(), environ)
pems_ownership(found, "RIO", environ); pems_profile(found, "RIO", environ)
load_field_map(Path(folder) / "map.toml")
read_delta_file("-", stdin=io.BytesIO(b'{"sessionId": "s", "modifications": [{"pfaId": "a", "delta": {}}]}'))
print("pydantic" in sys.modules)
"""


def test_what_is_valid_is_read_without_pydantic(folder: Path) -> None:
    resolved(folder, f"[profiles.default.pems]\nurl = '{URL}'\nownership = {{ dor = 'pems' }}\n")
    (folder / "map.toml").write_text('[fields]\na = "pfaId"\n[transforms]\nmodel = "trim"\n')
    command = [sys.executable, "-c", READS, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
