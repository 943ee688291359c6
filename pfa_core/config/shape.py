"""Shape of the configuration file."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pfa_core.config.pems_bounds import MAX_PAGE, MAX_RETRIES, MAX_SECONDS, ZONE
from pfa_core.errors import FaultCode
from pfa_core.model.record import EDITABLE
from pfa_core.shapes import AfterValidator, Shape, key, refused

_HEADER = r"^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$"
LARGEST_RECORDS, LARGEST = 1_000_000_000, 10**17
_ASCII = "printable ASCII for HTTP"


def _owned(name: str) -> str:
    if name != "default" and name not in EDITABLE:
        raise refused(FaultCode.UNKNOWN_FIELD, "not an editable field")
    return name


def _zone(text: str) -> str:
    if text and not re.fullmatch(ZONE, text, re.ASCII):
        raise refused(FaultCode.INVALID_RANGE, "must be like -0500")
    return text


class GridTable(Shape):
    """The grid that is pulled."""

    name: str = key("the grid's name in PEMS", "a text")
    id: str = key("the grid's id in PEMS", "a text")
    page_size: int = key(
        "rows of a request", f"a whole number from 1 to {MAX_PAGE}", ge=1, le=MAX_PAGE
    )
    timeout: float = key(
        "time that a request may take", f"a number from 0.1 to {MAX_SECONDS}", ge=0.1, le=MAX_SECONDS, unit="s"
    )  # fmt: skip


class ScreenTable(Shape):
    """The user-defined screen that is written."""

    name: str = key("the screen's name in PEMS", "a text")
    timezone: Annotated[str, AfterValidator(_zone)] = key("zone of its dates", "like -0500")


OwnedField = Annotated[str, AfterValidator(_owned)]


class PemsTable(Shape):
    """How PEMS is reached, and what its names are."""

    noun: ClassVar[str] = "a table"

    url: str = key("base address of PEMS, without credentials", "a text")
    username: str = key("user name of PEMS", "a text")
    password_file: str = key("file of mode 0600 with the password, relative to this file", "a text")
    tenant: str = key("the `tenant` header", _ASCII, pattern=_HEADER)
    organization: str = key("PEMS's code of the organization", _ASCII, pattern=_HEADER)
    field_map: str = key("file with the field map", "a text")
    writer: Literal["rest", "screen", ""] = key(
        "service by which records are written", "rest or screen"
    )
    timeout: float = key(
        "time that a request may take", f"a number from 0.1 to {MAX_SECONDS}", ge=0.1, le=MAX_SECONDS, unit="s"
    )  # fmt: skip
    idempotency_keys: bool = key("whether PEMS supports idempotency keys", "true or false")
    retries: int = key(
        "further attempts after the first one", f"a whole number from 0 to {MAX_RETRIES}", ge=0, le=MAX_RETRIES
    )  # fmt: skip
    retry_delay: float = key(
        "wait before the first of them", f"a number from 0 to {MAX_SECONDS}", ge=0, le=MAX_SECONDS, unit="s"
    )  # fmt: skip
    grid: GridTable = key("the grid that is pulled", "a table")
    screen: ScreenTable = key("the user-defined screen", "a table")
    ownership: dict[OwnedField, Literal["mine", "pems", "ask"]] = key(
        "whose value wins, by field; `default`: of all others", "a table of mine, pems or ask"
    )


class GuardTable(Shape):
    """The most that one commit, or one push, may change."""

    noun: ClassVar[str] = "a table"

    max_records: int = key(
        "most records that one commit or one push may change",
        "a whole number, 0 or more", ge=0, le=LARGEST_RECORDS,
    )  # fmt: skip
    max_money: float = key(
        "most forecast cost that it may change, up or down", "a number, 0 or more", ge=0, le=LARGEST
    )
    max_percent: float = key(
        "the same in per cent of the organization's forecast cost",
        "a number, 0 or more", ge=0, le=LARGEST, unit="%",
    )  # fmt: skip


class ProfilePemsTable(PemsTable):
    """How PEMS is reached, with deviations of single organizations."""

    organizations: dict[str, PemsTable] = key(
        "deviations by organization, key by key", "a table for each organization"
    )


class Profile(Shape):
    """A profile: settings that flags and environment replace."""

    organization: str = key("organization, where neither --org nor PFA_ORG is given", "a text")
    database_url: str = key("PostgreSQL server", "a text")
    database_read_url: str = key("replica of that server, which reads ask", "a text")
    database_pooled: Literal["yes", "no", "prepared"] = key(
        "whether a pooler lies between; `prepared`: one that keeps prepared statements",
        "yes, no or prepared",
    )
    token_file: str = key("file of the token, relative to this file", "a text")
    output: str = key("format of results, as of -o", "a text")
    protected: bool = key(
        "whether writes ask on a terminal, and need --yes elsewhere", "true or false"
    )
    guard: GuardTable = key("the most that one commit or one push may change", "a table")
    pems: ProfilePemsTable = key("how PEMS is reached", "a table")


class ConfigFile(Shape):
    """The file pfa/config.toml of the configuration directory."""

    noun: ClassVar[str] = "a table"
    profiles: dict[str, Profile] = key("profiles by name; `default` without one", "a table")
