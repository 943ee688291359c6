"""A plain client of the sandbox, and baseline records that take only what a test is about."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit


@dataclass(frozen=True)
class Answer:
    """One answer, its numbers exact."""

    status: int
    json: Any
    headers: Mapping[str, str]


class Client:
    """One keep-alive connection for an organization."""

    def __init__(self, url: str, organization: str | None = "RIO", **headers: str) -> None:
        self._address = urlsplit(url)
        self.headers = {"organization": organization} if organization else {}
        self.headers |= headers
        self.connection = http.client.HTTPConnection(
            str(self._address.hostname), self._address.port, timeout=10
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, content, {**self.headers, **named})
        response = self.connection.getresponse()
        text = response.read().decode()
        shown = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, json.loads(text, parse_float=Decimal), shown)

    def get(self, pfa_id: str) -> Answer:
        return self.send("GET", f"/api/pems/pfa/{quote(pfa_id, safe='')}")

    def put(
        self, pfa_id: str, version: int, key: str = "", org: str = "RIO", **changes: Any
    ) -> Answer:
        headers = {"Idempotency_Key": key} if key else {}
        path = f"/api/pems/pfa/{quote(pfa_id, safe='')}"
        return self.send("PUT", path, body(pfa_id, version, changes, org), **headers)

    def grid(self, **parts: Any) -> Answer:
        asked = {"GRID": {"GRID_NAME": "CUPFAG", **parts.pop("GRID", {})}, **parts}
        return self.send("POST", "/axis/restservices/griddata", asked)

    def screen(self, action: str, pfa_id: str, org: str = "RIO", **values: Any) -> Answer:
        pairs = {"PFS_ID": {"TEXTDATA": pfa_id}, "PFS_A_ORG": {"TEXTDATA": org}, **values}
        return self.send(
            "POST", "/axis/restservices/userdefinedscreenservices", screen_body(action, pairs)
        )


def body(pfa_id: str, version: int, changes: Any, org: str = "RIO") -> dict[str, Any]:
    return {
        "pfaId": pfa_id,
        "organizationCode": org,
        "changes": changes,
        "version": version,
        "modifiedBy": "jdoe",
        "changeReason": "weather",
    }


def screen_body(action: str, values: Mapping[str, Any]) -> dict[str, Any]:
    pairs = [
        {"USERDEFINEDSCREENFIELDNAME": name, "USERDEFINEDSCREENFIELDVALUE": value}
        for name, value in values.items()
    ]
    return {
        "USERDEFINEDSCREENNAME": "CUPFA2",
        "USERDEFINEDSERVICEACTION": action,
        "USERDEFINEDSCREENFIELDVALUELIST": {"USERDEFINEDSCREENFIELDVALUEPAIR": pairs},
    }


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def record(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "pfaId": f"R-{number}",
        "category": "Crane",
        "source": "Rental",
        "dor": "PROJECT",
        "monthlyRate": 1000,
        "forecastStart": "2026-01-01",
        "forecastEnd": "2026-02-01",
        "pemsVersion": f"2026-11-{number:02}T08:00:00Z",
        **fields,
    }
