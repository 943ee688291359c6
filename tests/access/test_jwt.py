"""Tokens: what pfa signed and is still good is taken, everything else refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pfa_core.access.tokens import jwt as tokens
from pfa_core.access.tokens.jwt import Claims, Grant, full_grant, sign, verify
from pfa_core.access.tokens.keyring import Keyring, SigningKey, ensure, load, store
from pfa_core.config.settings import Secret, resolve
from pfa_core.errors import ConfigInvalid, InvalidRequest, InvalidToken, TokenExpired
from pfa_core.model.principal import RIGHTS_OF, Right, Role

NOW = datetime(2025, 12, 10, 12, tzinfo=UTC)
KEY = Keyring((SigningKey(Secret("a key of at least thirty-two bytes, as it should be")),))
CLAIMS = Claims(
    user_id="ann",
    token_id="t-1",
    issued_at=NOW,
    expires_at=NOW + timedelta(hours=8),
    organizations={
        "HOLNG": full_grant(Role.ADMIN),
        "RIO": Grant(Role.VIEWER, frozenset({Right.READ})),
    },
)
TOKEN = sign(CLAIMS, KEY)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.+/! "


def ring(*secrets: str) -> Keyring:
    """The first signs, the others verify for an hour more."""
    until = NOW + timedelta(hours=1)
    first, *others = map(Secret, secrets)
    return Keyring((SigningKey(first), *(SigningKey(other, until) for other in others)))


def revealed(keys: Keyring) -> bytes:
    return keys.signing.secret.reveal().encode()


def part(content: object) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def forged(
    payload: object, header: object = None, *, key: Keyring = KEY, digest: str = "sha256"
) -> str:
    """A token that is signed rightly, whatever it says."""
    head = part({"alg": "HS256", "typ": "JWT"} if header is None else header)
    body = f"{head}.{part(payload)}"
    return f"{body}.{part(hmac.new(revealed(key), body.encode(), digest).digest())}"


def payload(**changes: object) -> dict[str, object]:
    whole = {
        "sub": "ann",
        "jti": "t-1",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 60,
        "organizations": {"RIO": {"role": "viewer", "rights": ["read"]}},
    }
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def test_a_token_says_what_was_signed():
    assert verify(TOKEN, KEY, NOW) == CLAIMS


def test_a_full_grant_is_the_template_of_its_role():
    assert full_grant(Role.EDITOR) == Grant(Role.EDITOR, RIGHTS_OF[Role.EDITOR])


def test_a_token_made_elsewhere_with_the_key_is_taken():
    assert verify(forged(payload()), KEY, NOW).organizations == {
        "RIO": Grant(Role.VIEWER, frozenset({Right.READ}))
    }


def test_a_token_without_organizations_holds_none():
    assert verify(forged(payload(organizations={})), KEY, NOW).organizations == {}


@pytest.mark.parametrize(
    ("later", "good"),
    [(timedelta(0), True), (timedelta(hours=8, seconds=-1), True), (timedelta(hours=8), False),
     (timedelta(days=400), False), (timedelta(hours=-1), True)],
)  # fmt: skip
def test_a_token_is_good_until_it_expires(later, good):
    if good:
        assert verify(TOKEN, KEY, NOW + later) == CLAIMS
    else:
        with pytest.raises(TokenExpired, match="2025-12-10 20:00 UTC"):
            verify(TOKEN, KEY, NOW + later)


def test_a_forged_token_is_not_told_that_it_expired():
    old = sign(replace(CLAIMS, expires_at=NOW), ring("another key that is also long enough"))
    with pytest.raises(InvalidToken):
        verify(old, KEY, NOW)


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "...", "x", "a.b.c", "null", TOKEN[:-1], TOKEN[:-10], TOKEN[10:], TOKEN + "x",
        TOKEN + ".", TOKEN.rpartition(".")[0], TOKEN.rpartition(".")[0] + ".", f"Bearer {TOKEN}",
        TOKEN.replace(".", "", 1), f"{TOKEN}.{TOKEN}", TOKEN.replace(".", "=."), "😀.😀.😀", "a\0.b.c",
    ],
    ids=range(20),
)  # fmt: skip
def test_what_is_no_whole_token_is_refused(token):
    with pytest.raises(InvalidToken):
        verify(token, KEY, NOW)


@pytest.mark.parametrize("key", ["x", "a key of at least thirty-two bytes, as it should bE"])
def test_another_key_does_not_fit(key):
    with pytest.raises(InvalidToken):
        verify(TOKEN, ring(key), NOW)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "NONE", "typ": "JWT"},
        {"alg": ""},
        {"alg": None},
        {"typ": "JWT"},
        {"alg": "RS256", "typ": "JWT"},
        {"alg": "ES256"},
        {"alg": "hs256"},
        {"alg": ["HS256"]},
        {"alg": "HS256", "b64": False, "crit": ["b64"]},
        {"alg": "HS256", "crit": ["unknown"], "unknown": 1},
        {"alg": "HS256", "kid": 5},
        [],
        "HS256",
        b"{",
        b"\xff",
    ],
    ids=range(17),
)
def test_a_header_that_says_anything_but_hs256_is_refused(header):
    for token in (forged(payload(), header), forged(payload(), header).rpartition(".")[0] + "."):
        with pytest.raises(InvalidToken):
            verify(token, KEY, NOW)


@pytest.mark.parametrize(("name", "digest"), [("HS384", "sha384"), ("HS512", "sha512")])
def test_another_algorithm_of_the_same_family_is_refused_by_name(name, digest):
    with pytest.raises(InvalidToken, match="another algorithm than HS256"):
        verify(forged(payload(), {"alg": name}, digest=digest), KEY, NOW)


@pytest.mark.parametrize("claim", ["sub", "jti", "iat", "exp"])
def test_a_missing_claim_is_named(claim):
    with pytest.raises(InvalidToken, match=f"lacks {claim}"):
        verify(forged(payload(**{claim: ...})), KEY, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"organizations": ...},
        {"organizations": None},
        {"organizations": ["RIO"]},
        {"organizations": {"RIO": None}},
        {"organizations": {"RIO": "admin"}},
        {"organizations": {"RIO": {"role": "admin"}}},
        {"organizations": {"RIO": {"role": "root", "rights": []}}},
        {"organizations": {"RIO": {"role": "viewer", "rights": ["everything"]}}},
        {"organizations": {"RIO": {"role": "viewer", "rights": 5}}},
        {"organizations": {"RIO": {"role": "viewer", "rights": [["read"]]}}},
        {"sub": ""},
        {"sub": None},
        {"sub": 5},
        {"sub": ["ann"]},
        {"jti": None},
        {"jti": 5},
        {"iat": "x"},
        {"iat": True},
        {"iat": None},
        {"exp": "9999999999"},
        {"exp": None},
        {"exp": True},
        {"exp": 1e300},
        {"exp": -1e300},
        {"exp": 10**30},
        {"nbf": "x"},
    ],
    ids=range(26),
)
def test_claims_that_are_not_those_of_a_token_of_ours_are_refused(changes):
    with pytest.raises(InvalidToken):
        verify(forged(payload(**changes)), KEY, NOW)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"5", b"null", b'"x"'])
def test_a_payload_that_is_no_object_is_refused(content):
    with pytest.raises(InvalidToken):
        verify(forged(content), KEY, NOW)


# Bytes of the environment that are no UTF-8 arrive as half surrogates.
@pytest.mark.parametrize("token", ["\udcff", TOKEN + "\udcff"], ids=["alone", "behind"])
def test_a_token_that_is_no_text_is_refused(token):
    with pytest.raises(InvalidToken):
        verify(token, KEY, NOW)


def test_no_other_last_character_says_the_same():
    # 43 characters hold 258 bits, the signature has 256.
    others = [other for other in ALPHABET if other != TOKEN[-1]]
    assert len(others) == len(ALPHABET) - 1
    assert [other for other in others if is_taken(TOKEN[:-1] + other)] == []


def is_taken(token):
    try:
        verify(token, KEY, NOW)
    except InvalidToken:
        return False
    return True


@given(st.data())
def test_a_token_with_one_character_changed_is_refused(data):
    place = data.draw(st.integers(0, len(TOKEN) - 1))
    other = data.draw(st.sampled_from(ALPHABET).filter(lambda one: one != TOKEN[place]))
    with pytest.raises(InvalidToken):
        verify(TOKEN[:place] + other + TOKEN[place + 1 :], KEY, NOW)


@given(st.data())
def test_a_token_with_one_character_more_is_refused(data):
    place = data.draw(st.integers(0, len(TOKEN)))
    other = data.draw(st.sampled_from(ALPHABET))
    # Padding at the very end is base64's own way to write the same.
    assume((place, other) != (len(TOKEN), "="))
    with pytest.raises(InvalidToken):
        verify(TOKEN[:place] + other + TOKEN[place:], KEY, NOW)


@given(st.integers(0, len(TOKEN) - 1))
def test_a_token_that_is_cut_off_is_refused(length):
    with pytest.raises(InvalidToken):
        verify(TOKEN[:length], KEY, NOW)


@given(st.text(max_size=100))
def test_any_text_as_a_token_is_refused_as_one(text):
    with pytest.raises(InvalidToken):
        verify(text, KEY, NOW)


def test_a_token_is_signed_as_the_standard_says():
    head, body, signature = TOKEN.split(".")
    expected = hmac.new(revealed(KEY), f"{head}.{body}".encode(), hashlib.sha256).digest()
    assert signature == part(expected)
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {
        "alg": "HS256",
        "typ": "JWT",
        "kid": KEY.signing.key_id,
    }


def by_pyjwt(token: str) -> bool:
    """Whether PyJWT takes it, whatever the time; it looks less closely at the form."""
    options: Any = {
        **dict.fromkeys(("verify_exp", "verify_iat", "verify_nbf"), False),
        "require": ["sub", "jti", "iat", "exp"],
    }
    try:
        jwt.decode(token, revealed(KEY), ["HS256"], options=options)
    except jwt.InvalidTokenError:
        return False
    return True


TEXTS = st.sampled_from(["", "ann", "HS256", "HS384", "none", "JWT", "hs256"]) | st.text(max_size=5)
VALUES = st.none() | st.booleans() | st.integers() | TEXTS | st.lists(TEXTS, max_size=2)


@given(
    st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64"]), VALUES),
    st.dictionaries(st.sampled_from(["sub", "jti", "iat", "exp", "nbf", "aud", "iss"]), VALUES),
    st.sampled_from(["sha256", "sha384"]),
    st.booleans(),
)
def test_what_pyjwt_refuses_is_refused(header, changes, digest, whole):
    head = {"alg": "HS256", "typ": "JWT", **({} if whole else header)}
    token = forged(payload(**changes), head, digest=digest)
    assert by_pyjwt(token) or not is_taken(token)


def test_what_pfa_signs_pyjwt_takes():
    assert by_pyjwt(TOKEN)
    assert not by_pyjwt(sign(CLAIMS, ring("another key that is also long enough")))


def test_signatures_are_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(tokens, "compare_digest", compare)
    assert verify(TOKEN, KEY, NOW) == CLAIMS
    with pytest.raises(InvalidToken):
        verify(forged(payload(), key=ring("another key that is also long enough")), KEY, NOW)
    assert [(len(one), len(other)) for one, other in compared] == [(32, 32)] * 2


def test_a_short_key_is_no_warning_at_every_use():
    key = ring("short")
    assert verify(sign(CLAIMS, key), key, NOW) == CLAIMS


def test_no_error_shows_the_token_or_the_key():
    for token in (TOKEN[:-5], TOKEN + "x", forged(payload(exp=1))):
        with pytest.raises((InvalidToken, TokenExpired)) as caught:
            verify(token, KEY, NOW)
        shown = f"{caught.value!r}{caught.value.hint}{caught.value.__cause__}"
        assert token not in shown
        assert revealed(KEY).decode() not in shown


def settings_in(tmp_path: Path, **environ: str):
    return resolve(None, {"XDG_CONFIG_HOME": str(tmp_path), "PFA_EMBEDDED_DIR": "/x", **environ})


def test_the_key_is_the_variable_s_else_the_file_s(tmp_path):
    with pytest.raises(ConfigInvalid, match="no key"):
        load(settings_in(tmp_path))
    made = ensure(settings_in(tmp_path))
    assert len(base64.urlsafe_b64decode(revealed(made) + b"==")) == 32
    assert revealed(ensure(settings_in(tmp_path))) == revealed(made)
    assert revealed(load(settings_in(tmp_path))) == revealed(made)
    assert revealed(load(settings_in(tmp_path, PFA_JWT_SECRET="other"))) == b"other"


def test_no_key_is_made_where_the_variable_holds_one(tmp_path):
    assert revealed(ensure(settings_in(tmp_path, PFA_JWT_SECRET="other"))) == b"other"
    assert not settings_in(tmp_path).key_file.exists()


@pytest.mark.parametrize(("text", "mode"), [("", 0o600), ("\n", 0o600), ("key", 0o644)])
def test_a_key_file_that_is_empty_or_open_to_others_is_refused(tmp_path, text, mode):
    path = settings_in(tmp_path).key_file
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigInvalid):
        load(settings_in(tmp_path))


# --- the ring of keys -----------------------------------------------------------------------------


def test_a_ring_has_the_signing_key_first_and_older_ones_with_their_end(tmp_path):
    settings = settings_in(tmp_path)
    ensure(settings)
    whole = ring("new", "older, with blanks", "oldest")
    store(replace(whole, file=settings.key_file))
    assert settings.key_file.read_text() == (
        "new\n2025-12-10T13:00:00Z older, with blanks\n2025-12-10T13:00:00Z oldest\n"
    )
    found = load(settings)
    assert [key.key_id for key in found.keys] == [key.key_id for key in whole.keys]
    assert [key.not_after for key in found.keys] == [None, *[NOW + timedelta(hours=1)] * 2]


def test_every_key_of_the_ring_verifies_until_its_end():
    whole, alone = ring("new", "old"), ring("old")
    for token in (sign(CLAIMS, alone), forged(payload(exp=2_000_000_000), key=alone)):
        assert verify(token, whole, NOW).key_id == alone.signing.key_id
        with pytest.raises(InvalidToken):
            verify(token, whole, NOW + timedelta(hours=1))
    assert verify(sign(CLAIMS, whole), whole, NOW).key_id == whole.signing.key_id


def test_a_key_id_leads_to_no_other_key_of_the_ring():
    whole = ring("new", "old")
    for kid in (whole.signing.key_id, "0" * 16):
        header = {"alg": "HS256", "kid": kid}
        with pytest.raises(InvalidToken):
            verify(forged(payload(), header, key=ring("old")), whole, NOW)


def test_a_key_is_called_by_its_content_and_tells_nothing_of_it():
    first, again, other = (SigningKey(Secret(text)) for text in ("hidden", "hidden", "Hidden"))
    assert first.key_id == again.key_id != other.key_id
    assert len(first.key_id) == 16
    assert int(first.key_id, 16) > 0
    assert "hidden" not in repr(first)


@pytest.mark.parametrize(
    "text",
    [
        "new\nhidden",
        "new\n2025-12-10 hidden",
        "new\n2025-13-10T00:00:00Z hidden",
        "new\n2025-12-10T00:00:00Z ",
        "new\n\n2025-12-10T00:00:00Z hidden",
        "\nnew",
        "-----BEGIN PUBLIC KEY-----",
        "ssh-rsa AAAA",
        "\udcff",
    ],
    ids=range(9),
)
def test_what_is_no_ring_is_refused_without_being_shown(tmp_path, text):
    with pytest.raises(ConfigInvalid) as stated:
        load(settings_in(tmp_path, PFA_JWT_SECRET=text))
    assert "hidden" not in stated.value.message + stated.value.hint


def test_no_token_is_made_that_nobody_would_take():
    many = {f"ORG-{number}": full_grant(Role.ADMIN) for number in range(2000)}
    with pytest.raises(InvalidRequest):
        sign(replace(CLAIMS, organizations=many), KEY)
    some = {f"ORG-{number}": full_grant(Role.ADMIN) for number in range(500)}
    whole = replace(CLAIMS, organizations=some)
    assert verify(sign(whole, KEY), KEY, NOW) == whole
