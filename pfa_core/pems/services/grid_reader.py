"""The grid of PEMS over HTTP: one attempt a page, failures as values."""

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
from pfa_core.pems.http.failures import error_alert, not_applied, protocol_failure
from pfa_core.pems.profile import PemsProfile
from pfa_core.pems.services.grid import MAX_WORDS, GridPage, NotGrid, RowDecoder, decode_rows

GRID_PATH = "/axis/restservices/griddata"
_MAX_EXPONENT = 400


class GridReader:
    """Reads one organization's grid.

    Raises:
        ConfigInvalid: The field map has no alias of the organization: rows of other organizations
            could not be recognized.
    """

    def __init__(self, http: HttpClient, profile: PemsProfile) -> None:
        self._http, self._profile = http, profile
        names = profile.field_map
        self._id_alias = names.alias_of("pfaId")
        self._organization_alias = names.alias_of("organization")
        self._modified_alias = names.alias_of("pemsVersion")
        self.decode = RowDecoder(names, profile.names.organization_of)
        if not self._organization_alias:
            raise ConfigInvalid(
                "the field map has no alias of the organization",
                hint='name it in [fields], as in pfs_a_org = "organization"',
            )

    def page(self, offset: int, size: int, *, since: datetime | None = None) -> GridPage | Failure:
        """Read rows from an offset on, by id; with `since` those modified from then on.

        Rows of the profile's organization have pfa's code of it. PEMS filters by the beginning of the
        code, so that rows of other organizations may be among them.

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
        own = {
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
            "ADDON_FILTER": own if since is None else [own, self._modified_since(since)],
            "GRID_TYPE": {"TYPE": "LIST"},
            "LOV_PARAMETER": {"ALIAS_NAME": self._id_alias},
            "REQUEST_TYPE": "LIST.DATA_ONLY.STORED",
        }

    def _modified_since(self, since: datetime) -> dict[str, Any]:
        if not self._modified_alias:
            raise ConfigInvalid(
                "the field map has no alias of the pemsVersion",
                hint="name it in [fields], or pull everything",
            )
        # Milliseconds are truncated: rounded up they would exclude what changed within them.
        moment = since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"ALIAS_NAME": self._modified_alias, "OPERATOR": ">=", "VALUE": moment}

    def _page(self, body: bytes) -> GridPage | Failure:
        try:
            content = _parse(body)
            alert = self._http.censored(error_alert(content))
            if alert:
                message = f"PEMS answered with an error: {shorten(alert, MAX_WORDS)}"
                return Failure(FaultCode.PEMS_REJECTED, message, RetryAdvice.RETRY)
            page = decode_rows(content, self.decode)
        except NotGrid as error:
            return protocol_failure(f"PEMS's answer is {error.message}", written=False)
        except (InvalidData, ValueError, RecursionError):
            return protocol_failure("PEMS's answer is not an answer of a grid", written=False)
        return page


@contextmanager
def open_reader(profile: PemsProfile, *, clock: Clock = utc_now) -> Iterator[GridReader]:
    """Open a reader with a connection of its own and the timeout `grid_timeout`.

    Raises:
        ConfigInvalid: See GridReader and HttpClient.
    """
    with open_client(profile, timeout=profile.grid_timeout, clock=clock) as http:
        yield GridReader(http, profile)


def _parse(body: bytes) -> Any:
    """Parse the JSON of an answer, every number as the text of its digits.

    Parsed by the standard library, the fastest parser here that keeps the digits.

    Raises:
        ValueError: The body is not JSON, or not UTF-8.
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
