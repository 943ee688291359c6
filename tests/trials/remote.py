"""The sandbox in another process, as the checks look at one."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pfa_core import exact_json
from pfa_core.pems.sandbox.records import LogEntry, Outcome, StoredRecord, Write


class RemotePems:
    """Reads records and write log over HTTP, and writes as another client."""

    def __init__(self, port: int, organization: str) -> None:
        self._port, self._organization = port, organization

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> tuple[LogEntry, ...]:
        """Every write in order."""
        return tuple(map(_entry, self._ask("GET", "/sandbox/log")["data"]))

    @property
    def records(self) -> tuple[StoredRecord, ...]:
        """All records."""
        found = self._ask("GET", "/sandbox/records")["data"]
        return tuple(
            StoredRecord(
                pfa_id=item["pfaId"],
                organization=item["organizationCode"],
                version=item["version"],
                updated_at=item["updatedAt"],
                data=item["data"],
            )
            for item in found
        )

    def change(self, pfa_id: str, changes: Mapping[str, Any]) -> None:
        """Change a record as another client."""
        self._ask("PUT", f"/sandbox/records/{quote(pfa_id, safe='')}", {"changes": changes})

    def set_faults(self, specs: Sequence[str], seed: int) -> dict[str, int]:
        """Replace the faults; how often those before struck."""
        before = self._ask("GET", "/sandbox/faults")["faults"]
        self._ask("PUT", "/sandbox/faults", {"faults": list(specs), "seed": seed})
        return {item["fault"]: item["struck"] for item in before}

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        for attempt in range(40):
            try:
                return self._ask_once(method, path, body)
            except OSError:
                if attempt == 39:
                    raise
                time.sleep(0.1)
        raise AssertionError("unreachable")

    def _ask_once(self, method: str, path: str, body: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            content = None if body is None else exact_json.dumps(body).encode()
            connection.request(method, path, content, {"organization": self._organization})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        assert answer.status < 300, f"{method} {path}: {answer.status} {text}"
        return exact_json.loads(text) if text else {}


def _entry(item: Mapping[str, Any]) -> LogEntry:
    return LogEntry(
        seq=item["seq"],
        at=item["at"],
        outcome=Outcome(item["outcome"]),
        status=item["status"],
        version=item["version"],
        answer=item["answer"],
        same_body=item["sameBody"],
        write=Write(
            writer=item["writer"],
            organization=item["organizationCode"],
            pfa_id=item["pfaId"],
            changes=item["changes"],
            by=item["modifiedBy"],
            base_version=item["baseVersion"],
            key=item["key"],
        ),
    )
