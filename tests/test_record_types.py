"""Typed records: what `FIELDS` says, with dates as dates and money as decimals."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import pytest
from pydantic import StrictBool, StrictStr

from pfa_core import PfaRecord, typed_record
from pfa_core.errors import FaultCode, InvalidData
from pfa_core.model.merged import MergedRecord
from pfa_core.model.record import FIELDS, Field, Kind

TYPES = {
    Kind.TEXT: StrictStr | None,
    Kind.DATE: date | None,
    Kind.MONEY: Decimal | None,
    Kind.FLAG: StrictBool | None,
}


def type_of(field: Field) -> Any:
    if field.name == "pfaId":
        return StrictStr.__origin__  # pydantic takes the annotation of a whole field apart
    if field.kind is Kind.CHOICE:
        return Literal[field.choices] | None
    return TYPES[field.kind]


def test_the_type_has_the_fields_of_the_table_in_their_order() -> None:
    made = {item.alias or name: item for name, item in PfaRecord.model_fields.items()}
    assert list(made) == list(FIELDS)
    assert {name: item.annotation for name, item in made.items()} == {
        name: type_of(field) for name, field in FIELDS.items()
    }
    assert {name: item.description for name, item in made.items()} == {
        name: field.meaning for name, field in FIELDS.items()
    }


def test_the_attributes_are_named_as_python_does_it() -> None:
    snake = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in FIELDS}
    assert set(PfaRecord.model_fields) == {"class_" if name == "class" else name for name in snake}


def merged(data: str) -> MergedRecord:
    return MergedRecord(
        pfa_id="H-1",
        data_json=data,
        sync_state="pristine",
        session_id=None,
        version=0,
        modified_at=None,
        modified_by=None,
    )


def test_a_record_of_a_list_is_typed_with_every_digit_and_every_field() -> None:
    record = merged(
        '{"pfaId":"H-1","class":"Cranes","monthlyRate":3044.10,"purchasePrice":5,"isActualized":true,'
        '"forecastStart":"2026-02-28","source":"Rental","currency":null,"theirs":{"a":[1.50]}}'
    ).typed()
    assert (record.pfa_id, record.class_, record.source) == ("H-1", "Cranes", "Rental")
    assert (str(record.monthly_rate), record.purchase_price) == ("3044.10", Decimal(5))
    assert (record.forecast_start, record.forecast_end) == (date(2026, 2, 28), None)
    assert (record.is_actualized, record.currency, record.model) == (True, None, None)
    assert record.model_extra == {"theirs": {"a": [Decimal("1.50")]}}
    assert record.model_dump(exclude_unset=True)["forecastStart"] == date(2026, 2, 28)


def test_values_of_another_type_are_said_all_at_once() -> None:
    with pytest.raises(InvalidData) as caught:
        typed_record({"pfaId": "H-1", "source": "Lease", "isActualized": 1, "forecastEnd": "soon"})
    assert caught.value.message == (
        "the record H-1 has values of another type: source, isActualized, forecastEnd"
    )
    assert [(fault.pfa_id, fault.field, fault.code) for fault in caught.value.details] == [
        ("H-1", "source", FaultCode.INVALID_ENUM_VALUE),
        ("H-1", "isActualized", FaultCode.INVALID_TYPE),
        ("H-1", "forecastEnd", FaultCode.INVALID_TYPE),
    ]
    with pytest.raises(InvalidData):
        typed_record({"source": "Rental"})
    assert typed_record({"pfaId": "H-1", "monthlyRate": None}).monthly_rate is None
