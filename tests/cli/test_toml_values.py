"""Values of the configuration file that TOML has and no setting takes, as a hand may write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pfa_cli.envelopes.base import Data
from pfa_cli.render import output, streams
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.output import Sheet, show
from tests.cli.conftest import ready
from tests.program import Pfa

__all__ = ["ready"]

_CANARY = "hunter2"
_VALUES = {
    "nan": "nan",
    "-inf": "-inf",
    "2024-01-02": "2024-01-02",
    "2024-01-02T03:04:05Z": "2024-01-02T03:04:05+00:00",
    "03:04:05": "03:04:05",
    "[1, inf, 'a']": '[1, inf, "a"]',
    "{ a = nan, b = true }": '{"a" = nan, "b" = true}',
}


def _write(text: str) -> None:
    file = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text(f"[profiles.default]\n{text}\n")
    file.chmod(0o600)


@pytest.mark.parametrize("key", ["organization", "pems.timeout"])
def test_what_json_lacks_is_shown_as_text(ready: Pfa, key: str) -> None:
    for value, said in _VALUES.items():
        _write(f"{key} = {value}")
        found = ready("config", "get", key, "-o", "json")
        assert (found.code, found.json["data"]["value"]) == (0, said), found.err
        listed = ready("config", "list", "-o", "json").json["data"]
        assert [item["value"] for item in listed if item["key"] == key] == [said]
        places = ready("config", "explain", key, "-o", "json").json["data"]["places"]
        assert said in [place["value"] for place in places]
        unset = ready("config", "unset", key, "-n", "-o", "json")
        assert (unset.code, unset.json["data"]["before"]) == (0, said)
        (profile,) = ready("profile", "list", "-o", "json").json["data"]
        assert profile["organization"] == (said if key == "organization" else None)
        assert ready("config", "get", key).out == f"{said}\n"


def test_a_file_that_holds_nan_can_be_edited(ready: Pfa) -> None:
    _write("pems.timeout = nan\nguard.max_money = [nan, { a = nan }]")
    assert ready("config", "set", "token_file", "t").code == 0
    assert ready("config", "unset", "guard.max_money").code == 0
    assert ready("config", "unset", "pems.timeout").code == 0
    assert ready("config", "get", "pems.timeout").out == "30.0\n"


@pytest.mark.parametrize("key", ["database_url", "database_read_url", "pems.url"])
def test_no_form_of_an_address_shows_its_password(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.delenv("PFA_DATABASE_URL")
    address = f"https://ann:{_CANARY}@host/x"
    for value in (f"'{address}'", f"['{address}']", f"{{ a = '{address}' }}"):
        _write(f"{key} = {value}")
        for words in (
            *(("config", "get", key), ("config", "list"), ("config", "explain", key)),
            *(("config", "unset", key, "-n"), ("profile", "show"), ("profile", "list")),
        ):
            ran = ready(*words, "-o", "json")
            assert (ran.code, _CANARY in ran.out + ran.err) == (0, False), (value, words, ran)


def test_a_document_that_cannot_be_written_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(streams, "write_json", written.append)
    sheet = Sheet(id_column="a", columns=("a",), items=[], envelope=Data({"a": float("nan")}))
    with pytest.raises(ValueError, match="not JSON compliant"):
        show(sheet, Look(Format.JSON))
    assert written == []
    assert output.dumps({"a": 1}, Look(Format.JSON)) == '{"a":1}'
