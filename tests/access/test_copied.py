"""Tokens and keys with what copying and editors add to them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import pfa_core
from pfa_core.access.tokens import keyring
from pfa_core.config.settings import resolve
from pfa_core.errors import ConfigInvalid, InvalidToken, PfaError
from tests.factories import SECRET, a_principal, a_token

BOM = "\ufeff"


def settings(tmp_path: Path, **environ: str):
    return resolve(environ={"XDG_CONFIG_HOME": str(tmp_path), **environ})


@pytest.mark.parametrize("around", ["{}", "  {}\n", "{}\r\n"])
def test_a_token_with_blanks_around_it_is_taken(tmp_path, around):
    token = around.format(a_token(a_principal()))
    found = pfa_core.authenticate(
        settings(tmp_path, PFA_TOKEN=token, PFA_JWT_SECRET=SECRET, PFA_ORG="ORG")
    )
    assert found.user_id == "ann"


@pytest.mark.parametrize(
    ("around", "stated"),
    [
        (BOM + "{}", "begins with a byte order mark"),
        ('"{}"', "is in quotes"),
        ("'{}'", "is in quotes"),
        ("“{}”", "is in quotes"),
        ("`{}`", "is in quotes"),
        ("Bearer {}", 'begins with "Bearer"'),
        ("bearer {}", 'begins with "Bearer"'),
        ("Authorization: Bearer {}", 'begins with "Bearer"'),
        ("PFA_TOKEN={}", "begins with the name of a variable"),
        ("{} {}", "holds a blank or a line end"),
        ("{}\n{}", "holds a blank or a line end"),
    ],
)
@pytest.mark.parametrize("variable", ["PFA_TOKEN", "PFA_TOKEN_FILE"])
def test_what_was_copied_with_a_token_is_named(tmp_path, variable, around, stated):
    token = a_token(a_principal())
    text = around.replace("{}", token)
    if variable == "PFA_TOKEN_FILE":
        file = tmp_path / "token"
        file.write_text(text, "utf-8")
        file.chmod(0o600)
        text = str(file)
    with pytest.raises(PfaError) as refused:
        pfa_core.authenticate(settings(tmp_path, **{variable: text}, PFA_JWT_SECRET=SECRET))
    assert isinstance(refused.value, InvalidToken | ConfigInvalid)
    source = "PFA_TOKEN" if variable == "PFA_TOKEN" else str(tmp_path / "token")
    assert f"{source} {stated}" in refused.value.message
    assert token not in refused.value.message + refused.value.hint


def test_of_a_token_that_is_malformed_in_itself_the_source_is_named(tmp_path):
    with pytest.raises(InvalidToken, match=r"^the token is malformed \(PFA_TOKEN\)$"):
        pfa_core.authenticate(settings(tmp_path, PFA_TOKEN="eyJh.x", PFA_JWT_SECRET=SECRET))


@pytest.mark.parametrize("as_file", [True, False], ids=["file", "variable"])
@pytest.mark.parametrize(
    ("text", "stated"),
    [
        (f"{BOM}{SECRET}", "begins with a byte order mark"),
        (f"{SECRET}\r\n2099-01-01T00:00:00Z older", "holds a carriage return"),
        (f"{SECRET}\n2099-01-01T00:00:00Z {BOM}older", "begins with a byte order mark"),
        (f"{SECRET}\0", "NUL"),
    ],
    ids=["mark", "carriage return", "mark in an older key", "NUL"],
)
def test_a_key_with_what_an_editor_adds_is_refused(tmp_path, text, stated, as_file):
    if as_file:
        file = tmp_path / "pfa" / "jwt.key"
        file.parent.mkdir()
        file.write_bytes(text.encode())
        file.chmod(0o600)
        found = settings(tmp_path)
    elif "\0" in text:
        return
    else:
        found = settings(tmp_path, PFA_JWT_SECRET=text)
    with pytest.raises(ConfigInvalid, match=stated) as refused:
        keyring.load(found)
    assert ("jwt.key" if as_file else "PFA_JWT_SECRET") in refused.value.message
    assert SECRET not in refused.value.message + refused.value.hint


def test_a_key_as_it_was_written_is_taken(tmp_path):
    file = tmp_path / "pfa" / "jwt.key"
    file.parent.mkdir()
    file.write_text(f"{SECRET}\n2099-01-01T00:00:00Z ältere\n", "utf-8")
    file.chmod(0o600)
    ring = keyring.load(settings(tmp_path))
    assert [key.secret.reveal() for key in ring.at(datetime.now(UTC))] == [SECRET, "ältere"]
