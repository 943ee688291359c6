"""The grid of PEMS page by page over HTTP: one attempt a page, troubles as values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn

from pfa_core import exact_json
from pfa_core.errors import ConfigInvalid, FaultCode, InvalidData
from pfa_core.model.exchange import Failure, RetryAdvice
from pfa_core.model.ids import Clock, utc_now
from pfa_core.model.values import shorten
from pfa_core.pems.http.client import HttpClient, open_client
from pfa_core.pems.http.failures import error_alert, not_applied, protocol_trouble
from pfa_core.pems.profile import PemsProfile
from pfa_core.pems.services.grid import MAX_WORDS, GridPage, decode_rows, row_decoder

GRID_PATH = "/axis/restservices/griddata"
_MAX_EXPONENT = 400


class GridReader:
    """Reads one organization's grid.

    Raises:
        ConfigInvalid: The field map does not say which alias is the organization: rows of others
            could not be told from ours.
    """

    def __init__(self, http: HttpClient, profile: PemsProfile) -> None:
        self._http, self._profile = http, profile
        names = profile.field_map
        self._id_alias = names.alias_of("pfaId")
        self._organization_alias = names.alias_of("organization")
        self._modified_alias = names.alias_of("pemsVersion")
        self._decode = row_decoder(names)
        if not self._organization_alias:
            raise ConfigInvalid(
                "the field map does not say which alias is the organization",
                hint='name it in [fields], as in pfs_a_org = "organization"',
            )

    @property
    def knows_changes(self) -> bool:
        """Whether `since` can be asked for: the field map has an alias of pemsVersion."""
        return bool(self._modified_alias)

    def page(self, offset: int, size: int, *, since: datetime | None = None) -> GridPage | Failure:
        """The rows from an offset on, sorted by id; with `since` only those modified from then on.

        The organization of a row is our code of it where the row is ours. PEMS filters by the
        beginning of the code, so that rows of others may be among them.

        Raises:
            ConfigInvalid: `since` with a field map that has no alias of pemsVersion.
        """
        body = exact_json.dumps(self._question(offset, size, since)).encode()
        answer = self._http.request("POST", GRID_PATH, body)
        if isinstance(answer, Failure):
            return not_applied(answer)
        if answer.status != 200:
            return not_applied(self._http.refused(answer))
        return self._page(answer.body)

    def _question(self, offset: int, size: int, since: datetime | None) -> dict[str, Any]:
        grid = self._profile.grid
        ours = {
            "ALIAS_NAME": self._organization_alias,
            "OPERATOR": "BEGINS",
            "VALUE": self._profile.organization,
        }
        return {
            "GRID": {
                "GRID_NAME": grid.name,
                "GRID_ID": grid.id,
                "NUMBER_OF_ROWS_FIRST_RETURNED": size,
                "ROW_OFFSET": offset,
                "RESULT_IN_SAXORDER": "TRUE",
            },
            "ADDON_SORT": {"ALIAS_NAME": self._id_alias, "TYPE": "ASC"},
            "ADDON_FILTER": ours if since is None else [ours, self._modified_since(since)],
            "GRID_TYPE": {"TYPE": "LIST"},
            "LOV_PARAMETER": {"ALIAS_NAME": self._id_alias},
            "REQUEST_TYPE": "LIST.DATA_ONLY.STORED",
        }

    def _modified_since(self, since: datetime) -> dict[str, Any]:
        if not self._modified_alias:
            raise ConfigInvalid(
                "the field map does not say which alias is the pemsVersion",
                hint="name it in [fields], or pull everything",
            )
        # The milliseconds are cut, never rounded up: what changed in them must not be missed.
        moment = since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"ALIAS_NAME": self._modified_alias, "OPERATOR": ">=", "VALUE": moment}

    def _page(self, body: bytes) -> GridPage | Failure:
        try:
            content = _parse(body)
            alert = self._http.censored(error_alert(content))
            if alert:
                message = f"PEMS answered with an error: {shorten(alert, MAX_WORDS)}"
                return Failure(FaultCode.PEMS_REJECTED, message, RetryAdvice.RETRY)
            page = decode_rows(content, self._decode)
        except (InvalidData, ValueError, RecursionError):
            return protocol_trouble("PEMS's answer is no answer of a grid", written=False)
        if self._profile.organization != self._profile.organization_id:
            for row in page.rows:
                if told := row.get("organization"):
                    row["organization"] = self._profile.our_organization(told)
        return page


@contextmanager
def open_reader(profile: PemsProfile, *, clock: Clock = utc_now) -> Iterator[GridReader]:
    """A reader with a connection of its own, which waits `grid_timeout` for an answer.

    Raises:
        ConfigInvalid: See GridReader and HttpClient.
    """
    with open_client(profile, timeout=profile.grid_timeout, clock=clock) as http:
        yield GridReader(http, profile)


def _parse(body: bytes) -> Any:
    """The JSON of an answer with every number as the text of its digits.

    The standard library's parser, since it is the fastest one here that keeps the digits.

    Raises:
        ValueError: It is no JSON, or not UTF-8.
    """
    return json.loads(
        body.decode("utf-8-sig"), parse_float=_digits, parse_int=str, parse_constant=_no_number
    )


def _digits(text: str) -> str:
    exponent = text.lower().partition("e")[2]
    if not exponent:
        return text
    if len(exponent) > 4 or abs(int(exponent)) > _MAX_EXPONENT:
        raise ValueError(text)
    return format(Decimal(text), "f")


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)
