"""A record with the types of its fields, for programs that use the library."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError

from pfa_core.errors import Fault, FaultCode, InvalidData

Text = StrictStr | None
Flag = StrictBool | None


class PfaRecord(BaseModel):
    """A record: dates as `date`, money as `Decimal`, choices as literals.

    A field is None where the record lacks it, where it is null, and money where it is masked. Fields of PEMS
    that pfa does not know are kept in `model_extra` under their own name. `model_dump()` returns the
    record with pfa's names.
    """

    model_config = ConfigDict(
        extra="allow", frozen=True, populate_by_name=True, serialize_by_alias=True
    )

    pfa_id: StrictStr = Field(alias="pfaId", description="business key, unique in its organization")
    organization: Text = Field(default=None, description="the organization's code")
    description: Text = Field(default=None, description="what is required")
    area_silo: Text = Field(default=None, alias="areaSilo", description="work area")
    category: Text = Field(default=None, description="equipment category")
    forecast_category: Text = Field(
        default=None, alias="forecastCategory", description="the category's description in PEMS"
    )
    class_: Text = Field(default=None, alias="class", description="equipment class")
    source: Literal["Rental", "Purchase"] | None = Field(
        default=None, description="how the equipment is obtained"
    )
    dor: Literal["BEO", "PROJECT"] | None = Field(default=None, description="who carries the cost")
    is_actualized: Flag = Field(
        default=None, alias="isActualized", description="on site and billing"
    )
    is_discontinued: Flag = Field(
        default=None, alias="isDiscontinued", description="cancelled; left out of costs"
    )
    is_funds_transferable: Flag = Field(
        default=None, alias="isFundsTransferable", description="budget donor; left out of costs"
    )
    monthly_rate: Decimal | None = Field(
        default=None,
        alias="monthlyRate",
        description="price of a month, or of `rateUom`, used if Rental",
    )
    purchase_price: Decimal | None = Field(
        default=None, alias="purchasePrice", description="price, used if Purchase"
    )
    rate_uom: Literal["month", "week", "day", "28-day"] | None = Field(
        default=None, alias="rateUom", description="unit of the rate, absent: the organization's"
    )
    currency: Text = Field(
        default=None, description="currency of rate and price, absent: the organization's"
    )
    manufacturer: Text = Field(default=None, description="make")
    model: Text = Field(default=None, description="model")
    contract: Text = Field(default=None, description="contract number")
    equipment: Text = Field(default=None, description="asset tag of the assigned machine")
    original_start: date | None = Field(
        default=None, alias="originalStart", description="plan: first day"
    )
    original_end: date | None = Field(
        default=None, alias="originalEnd", description="plan: the day after the last"
    )
    has_plan: Flag = Field(default=None, alias="hasPlan", description="both plan dates are present")
    forecast_start: date | None = Field(
        default=None, alias="forecastStart", description="forecast: first day"
    )
    forecast_end: date | None = Field(
        default=None, alias="forecastEnd", description="forecast: the day after the last"
    )
    actual_start: date | None = Field(
        default=None, alias="actualStart", description="actual: first day"
    )
    actual_end: date | None = Field(
        default=None, alias="actualEnd", description="actual: the day after the last"
    )
    has_actuals: Flag = Field(
        default=None, alias="hasActuals", description="both actual dates are present"
    )
    pems_version: Text = Field(
        default=None, alias="pemsVersion", description="PEMS's last-modified stamp"
    )
    last_synced_at: Text = Field(
        default=None, alias="lastSyncedAt", description="bookkeeping of PEMS's side"
    )
    sync_batch_id: Text = Field(
        default=None, alias="syncBatchId", description="bookkeeping of PEMS's side"
    )


def typed_record(data: Mapping[str, Any]) -> PfaRecord:
    """Convert a record to its types.

    Args:
        data: A merged record, or a PEMS value of one: `RecordDetail.merged`, `MergedRecord.data`.

    Raises:
        InvalidData: A value is not of its field's type, which a pull or a save would have refused.
    """
    try:
        return PfaRecord.model_validate(data)
    except ValidationError as error:
        pfa_id = str(data.get("pfaId", ""))
        faults = [_fault(pfa_id, dict(each)) for each in error.errors(include_url=False)]
        names = ", ".join(dict.fromkeys(fault.field for fault in faults))
        message = f"the record {pfa_id} has values of another type: {names}"
        raise InvalidData(message, details=faults) from None


def _fault(pfa_id: str, detail: Mapping[str, Any]) -> Fault:
    codes = {
        "missing": FaultCode.MISSING_REQUIRED_FIELD,
        "literal_error": FaultCode.INVALID_ENUM_VALUE,
    }
    code = codes.get(detail["type"], FaultCode.INVALID_TYPE)
    message = "is missing" if detail["type"] == "missing" else "is not of the field's type"
    return Fault(pfa_id, str(detail["loc"][0]), code, message)
