"""Two verifiers, one answer: what `tokens.verify` takes, the database takes, and nothing else."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from pfa_core.access.tokens import jwt
from pfa_core.access.tokens.keyring import Keyring, SigningKey, key_id
from pfa_core.errors import NotSignedIn
from pfa_core.model.principal import Right, Role
from pfa_core.model.secret import Secret
from pfa_core.store import signing_keys
from pfa_core.store.signing_keys import NewKey
from tests.forms import EFFORT

NOW = datetime(2026, 11, 23, 12, 0, 0, 500_000, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
# 64 bytes are a whole block of the hash, one more is hashed first.
SECRETS = ("s", "a key of usual length, 43 characters of it..", "b" * 64, "ü" * 40, "c" * 65)
RING = Keyring(
    (
        *(SigningKey(Secret(secret)) for secret in SECRETS),
        SigningKey(Secret("still good"), NOW + timedelta(seconds=30)),
        SigningKey(Secret("ended"), NOW - timedelta(seconds=30)),
    )
)
IDS = [key.key_id for key in RING.keys]


@pytest.fixture(scope="module")
def database(postgres: Any, template: str) -> Iterator[psycopg.Connection]:
    """A database that knows the ring's keys."""
    with postgres.database(template) as url, psycopg.connect(url, autocommit=True) as conn:
        new = [NewKey(key.key_id, key.secret.reveal(), key.not_after) for key in RING.keys]
        assert sorted(signing_keys.register(conn, new, NOW)) == sorted(IDS)
        yield conn


def by_python(token: str, at: datetime) -> dict[str, Any] | None:
    try:
        claims = jwt.verify(token, RING, at)
    except NotSignedIn:
        return None
    return {
        "user_id": claims.user_id,
        "token_id": claims.token_id,
        "key_id": claims.key_id,
        "issued_at": claims.issued_at,
        "expires_at": claims.expires_at,
        "organizations": {
            code: (grant.role, grant.rights) for code, grant in claims.organizations.items()
        },
    }


def by_database(conn: psycopg.Connection, token: str, at: datetime) -> dict[str, Any] | None:
    with conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        row = cursor.execute("SELECT * FROM pfa_verify_token(%s, %s)", (token, at)).fetchone()
    if row is None:
        return None
    granted = row["organizations"]
    return row | {
        "organizations": {
            code: (grant["role"], frozenset(grant["rights"])) for code, grant in granted.items()
        }
    }


def agreed(conn: psycopg.Connection, token: str, at: datetime = NOW) -> dict[str, Any] | None:
    """What both say of the token."""
    in_python, in_database = by_python(token, at), by_database(conn, token, at)
    assert in_python == in_database
    return in_python


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def as_bytes(content: Any) -> bytes:
    if isinstance(content, bytes):
        return content
    text = content if isinstance(content, str) else json.dumps(content)
    return text.encode("utf-8", "surrogatepass")


def signed(
    payload: Any, header: Any = None, secret: str = SECRETS[1], digest: str = "sha256"
) -> str:
    """A token that is signed rightly, whatever it says; texts and bytes stand for themselves."""
    head = {"alg": "HS256", "typ": "JWT"} if header is None else header
    body = f"{b64(as_bytes(head))}.{b64(as_bytes(payload))}"
    return f"{body}.{b64(hmac.new(secret.encode(), body.encode(), digest).digest())}"


def payload(**changes: Any) -> dict[str, Any]:
    whole = {
        "sub": "ann",
        "jti": "t-1",
        "iat": SECONDS - 60,
        "exp": SECONDS + 60,
        "organizations": {"RIO": {"role": "viewer", "rights": ["read"]}},
    }
    return {name: value for name, value in (whole | changes).items() if value is not ...}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_key_of_any_length_verifies_in_both(database, secret):
    for header in (None, {"alg": "HS256", "kid": key_id(Secret(secret))}, {"alg": "HS256"}):
        found = agreed(database, signed(payload(), header, secret))
        assert found is not None
        assert found["key_id"] == key_id(Secret(secret))


def test_what_pfa_signs_both_accept(database):
    claims = jwt.Claims(
        user_id='ännchen 😀 \\ " \u2028',
        token_id="t-2",
        issued_at=NOW.replace(microsecond=0),
        expires_at=NOW.replace(microsecond=0) + timedelta(hours=8),
        organizations={"RIO": jwt.full_grant(Role.ADMIN), "HOLNG": jwt.full_grant(Role.SERVICE)},
    )
    found = agreed(database, jwt.sign(claims, RING))
    assert found is not None
    assert (found["user_id"], found["key_id"]) == (claims.user_id, IDS[0])
    assert set(found["organizations"]) == {"RIO", "HOLNG"}


def test_a_key_verifies_until_it_ends_in_both(database):
    still, ended = signed(payload(), None, "still good"), signed(payload(), None, "ended")
    assert agreed(database, still) is not None
    assert agreed(database, still, NOW + timedelta(seconds=30)) is None
    assert agreed(database, ended) is None
    assert agreed(database, ended, NOW - timedelta(seconds=31)) is not None


def test_a_key_id_leads_to_its_own_key_only(database):
    for header in ({"alg": "HS256", "kid": IDS[0]}, {"alg": "HS256", "kid": "0" * 16}):
        assert agreed(database, signed(payload(), header, SECRETS[1])) is None


@pytest.mark.parametrize("key", ["unknown", "", "S", "still good "])
def test_another_key_fits_neither(database, key):
    assert agreed(database, signed(payload(), None, key)) is None


GOOD_HEADERS = [
    '{"alg":"HS256"}',
    ' {\n"alg" :\t"HS256" , "typ":"JWT"\r} ',
    '{"typ":"JWT","alg":"HS256"}',
    '{"kid":"' + IDS[1] + '","typ":"JWT","alg":"HS256"}',
]
BAD_HEADERS = [
    "", "{}", "[]", "null", '"HS256"', "{", '{"alg":"HS256"', '{"alg":"HS256"}x', '{"alg":"HS256",}',
    '{"alg":"none"}', '{"alg":"None"}', '{"alg":""}', '{"alg":null}', '{"alg":"hs256"}', '{"typ":"JWT"}',
    '{"alg":"RS256"}', '{"alg":"HS384"}', '{"alg":["HS256"]}', '{"alg":"HS256","typ":"JOSE"}',
    '{"alg":"HS256","typ":null}', '{"alg":"HS256","kid":5}', '{"alg":"HS256","kid":""}',
    '{"alg":"HS256","kid":null}', '{"alg":"HS256","crit":["x"],"x":1}', '{"alg":"HS256","b64":true}',
    '{"alg":"HS256","jwk":{}}', '{"alg":"none","alg":"HS256"}', '{"alg":"HS256","alg":"HS256"}',
    '{"kid":"a","kid":"' + IDS[1] + '","alg":"HS256"}', '{"al\\u0067":"HS256"}', '{"alg":"HS25\\u0036"}',
    '{"alg":"HS256","typ":"JWT","kid":"' + IDS[1] + '","x":"y"}', '\ufeff{"alg":"HS256"}',
    b'{"alg":"HS256"}\0', b'\xff', b'{"alg":"HS256","kid":"\xc3\xbc"}', '{"al g":"HS256"}',
    '\u00a0{"alg":"HS256"}', '\x0b{"alg":"HS256"}', '{"alg":"HS256","kid":"' + "a" * 65 + '"}',
    '{"alg":"HS256"}'.encode("utf-16"),
]  # fmt: skip


@pytest.mark.parametrize("header", GOOD_HEADERS)
def test_a_header_of_the_right_form_is_taken_by_both(database, header):
    assert agreed(database, signed(payload(), header)) is not None


@pytest.mark.parametrize("header", BAD_HEADERS, ids=range(len(BAD_HEADERS)))
def test_any_other_header_is_taken_by_neither(database, header):
    token = signed(payload(), header)
    assert agreed(database, token) is None
    assert agreed(database, token.rpartition(".")[0] + ".") is None


@pytest.mark.parametrize(("name", "digest"), [("HS384", "sha384"), ("HS512", "sha512")])
def test_another_hash_is_taken_by_neither(database, name, digest):
    assert agreed(database, signed(payload(), {"alg": name}, digest=digest)) is None
    assert agreed(database, signed(payload(), {"alg": "HS256"}, digest=digest)) is None


PLAIN = json.dumps(payload())[1:-1]
TAKEN = [
    payload(), payload(organizations={}), payload(nbf=SECONDS), payload(iat=0), payload(more={"a": [None]}),
    payload(exp=253_402_300_799), payload(iat=SECONDS + 999), payload(sub="ü" * 300, more=-0),
    f'{{"sub":"eve",{PLAIN}}}', f'{{{PLAIN},"sub":"eve"}}', f'{{"aud ":1,{PLAIN}}}', f' {{{PLAIN}\r\n}}\t',
    f'{{{PLAIN},"x":"\\ud83d\\ude00\\\\ud800 \\\\\\\\ \\" ] {{ 1e5 1.5"}}', f'{{{PLAIN},"x":"\\\\u0000"}}',
    f'{{{PLAIN},"x":123456789012345}}', f'{{{PLAIN},"":{{"":[]}}}}', f'{{{PLAIN},"x":[[[[[[[0]]]]]]]}}',
    payload(organizations={"A": {"role": "service", "rights": [], "more": 1}, "": {"role": "admin",
            "rights": ["read", "read", "sync"]}}), f'{{{PLAIN},"x":"\x7f\u2028\\/\\b\\f\\n\\r\\t\uffff"}}',
]  # fmt: skip
REFUSED = [
    "", "{", "[]", "5", "null", '"x"', "{}", b"\xff", "\ufeff" + json.dumps(payload()), f"{{{PLAIN}}}x",
    f"{{{PLAIN},}}", f'{{{PLAIN},"x":1.0}}', f'{{{PLAIN},"x":1e5}}', f'{{{PLAIN},"x":1E5}}',
    f'{{{PLAIN},"x":NaN}}', f'{{{PLAIN},"x":-Infinity}}', f'{{{PLAIN},"x":nan}}', f'{{{PLAIN},"x":01}}',
    f'{{{PLAIN},"x":+1}}', f'{{{PLAIN},"x":-}}', f'{{{PLAIN},"x":1234567890123456}}', f'{{{PLAIN},"x":tru}}',
    f'{{{PLAIN},"x":{"9" * 5000}}}', f'{{{PLAIN},"x":1e400}}', f'{{{PLAIN},"x":1e-400000}}',
    f'{{{PLAIN},"x":"\\u0000"}}', f'{{{PLAIN},"x":"\\ud800"}}', f'{{{PLAIN},"x":"\\udc00\\ud800"}}',
    f'{{{PLAIN},"x":"\\ud83d\\ud83d\\ude00"}}', f'{{{PLAIN},"x":"\\\\ud83d\\ude00"}}',
    f'{{{PLAIN},"x":"\ud800"}}', f'{{{PLAIN},"x":"\\x"}}', f'{{{PLAIN},"x":"\\u12g4"}}', f'{{{PLAIN},"x":"\n"}}',
    f"{{{PLAIN},'x':1}}", f'{{{PLAIN},"x":1,"x":"\\ud800","x":2}}', f'{{{PLAIN},"x":/**/1}}',
    f'{{{PLAIN},"x":{"[" * 8}0{"]" * 8}}}', f'{{{PLAIN},"x":{"[" * 9000}{"]" * 9000}}}', "[" * 9000,
    f'{{{PLAIN},"x":"\0"}}', json.dumps(payload()).encode("utf-16"), f'{{{PLAIN},"x":"\\U0041"}}',
    f'\u00a0{{{PLAIN}}}', f'\x0c{{{PLAIN}}}', f'{{"exp":1,{PLAIN},"exp":1}}', f'{{{PLAIN},"exp":null}}',
    *(payload(**{name: value}) for name in ("sub", "jti") for value in (..., None, "", 5, True, ["a"], {})),
    *(payload(**{name: value}) for name in ("iat", "exp") for value in
      (..., None, "5", True, [], {}, -1, 253_402_300_800, 10**14, 10**30, 1.5, 1e300)),
    payload(exp=SECONDS), payload(exp=0), payload(aud="x"), payload(aud=None), payload(aud=[]),
    *(payload(nbf=value) for value in (None, "x", True, SECONDS + 1, -1, 1.5, [])),
    *(payload(organizations=value) for value in
      (..., None, 5, "RIO", ["RIO"], [["RIO", {"role": "admin", "rights": []}]])),
    *(payload(organizations={"RIO": value}) for value in
      (None, 5, "admin", [], {}, {"role": "admin"}, {"rights": []}, {"role": "root", "rights": []},
       {"role": None, "rights": []}, {"role": ["admin"], "rights": []}, {"role": "", "rights": []},
       {"role": "viewer", "rights": None}, {"role": "viewer", "rights": "read"},
       {"role": "viewer", "rights": {"read": 1}}, {"role": "viewer", "rights": {}},
       {"role": "viewer", "rights": ["everything"]}, {"role": "viewer", "rights": [None]},
       {"role": "viewer", "rights": [["read"]]}, {"role": "viewer", "rights": ["read", 5]},
       {"role": "viewer", "rights": ["READ"]})),
]  # fmt: skip


@pytest.mark.parametrize("content", TAKEN, ids=range(len(TAKEN)))
def test_a_payload_of_the_right_form_is_taken_by_both(database, content):
    assert agreed(database, signed(content)) is not None


@pytest.mark.parametrize("content", REFUSED, ids=range(len(REFUSED)))
def test_any_other_payload_is_taken_by_neither(database, content):
    assert agreed(database, signed(content)) is None


def test_of_a_repeated_claim_the_last_counts_in_both(database):
    found = agreed(database, signed(f'{{{PLAIN},"sub":"eve"}}'))
    assert found is not None
    assert found["user_id"] == "eve"


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b.c", "null", "a\0b.c.d", "😀.😀.😀", f"{signed(payload())}=", "é.a.b",
     f" {signed(payload())}", f"{signed(payload())}\n", f"Bearer {signed(payload())}", "a" * 300_000,
     signed(payload(x="a" * 200_000)), signed(payload()).replace(".", "=.", 1), "A.A.A", "AB.AB.AB"],
    ids=range(18),
)  # fmt: skip
def test_what_is_no_whole_token_is_taken_by_neither(database, token):
    if "\0" not in token:  # PostgreSQL has no such texts at all
        assert agreed(database, token) is None


@pytest.mark.parametrize("at", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_the_ends_of_time_are_times(database, at):
    agreed(database, signed(payload(exp=253_402_300_799)), at)


# --- any token at all ----------------------------------------------------------------------------

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([SECONDS, SECONDS + 1, SECONDS - 1, "read", "viewer", 0, -1, 2**63]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
GRANTS: Any = st.fixed_dictionaries(
    {
        "role": st.sampled_from(list(Role)) | VALUES,
        "rights": st.lists(st.sampled_from(list(Right)), max_size=12) | VALUES,
    }
)
CLAIMS: Any = st.fixed_dictionaries(
    {},
    optional={
        "sub": st.text(max_size=20) | VALUES,
        "jti": st.text(max_size=20) | VALUES,
        "iat": st.integers(0, 2 * SECONDS) | VALUES,
        "exp": st.integers(SECONDS - 2, SECONDS + 3) | st.floats(SECONDS - 2, SECONDS + 3) | VALUES,
        "nbf": st.integers(SECONDS - 2, SECONDS + 3) | VALUES,
        "aud": VALUES,
        "organizations": st.dictionaries(st.text(max_size=6), GRANTS, max_size=3) | VALUES,
        "more": VALUES,
    },
)
SKEWS = st.timedeltas(timedelta(seconds=-4), timedelta(seconds=4)) | st.timedeltas(
    timedelta(days=-9), timedelta(days=9)
)
PROPERTY = settings(
    deadline=None,
    max_examples=50 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.slow
@PROPERTY
@given(CLAIMS, st.booleans(), st.sampled_from(SECRETS), SKEWS, st.booleans())
def test_any_claims_mean_the_same_to_both(database, changes, ascii_only, secret, skew, whole):
    text = json.dumps(payload(**changes) if whole else changes, ensure_ascii=ascii_only)
    agreed(database, signed(text, None, secret), NOW + skew)


@PROPERTY
@given(st.text('{}[]:,"0123456789.eE+-\\u dDcCaAbBflnrst\n\0', max_size=40))
@example('"\\')
@example('"\\\\\\"x"')
def test_any_text_in_a_payload_means_the_same_to_both(database, junk):
    agreed(database, signed(junk))
    agreed(database, signed(f'{{{PLAIN},"x":{junk}}}'))
    agreed(database, signed(f'{{{PLAIN},"x":"{junk}"}}'))


@PROPERTY
@given(st.binary(max_size=40), st.integers(0, len(PLAIN)))
def test_any_bytes_in_a_payload_mean_the_same_to_both(database, junk, place):
    agreed(database, signed(junk))
    whole = f"{{{PLAIN}}}".encode()
    agreed(database, signed(whole[:place] + junk + whole[place:]))


@pytest.mark.slow
@PROPERTY
@given(
    st.dictionaries(
        st.sampled_from(["alg", "typ", "kid", "crit", "x"]),
        st.sampled_from(["HS256", "none", "RS256", "JWT", "", *IDS]) | VALUES,
        max_size=4,
    ),
    st.sampled_from(SECRETS),
)
def test_any_header_means_the_same_to_both(database, header, secret):
    agreed(database, signed(payload(), header, secret))


@PROPERTY
@given(st.data())
def test_a_token_that_was_tampered_with_is_taken_by_neither(database, data):
    token = signed(payload())
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("AZaz09-_=.+/! é"))
    kind = data.draw(st.sampled_from(["put", "cut", "change"]))
    tail = token[place:] if kind == "put" else token[place + 1 :]
    changed = token[:place] + ("" if kind == "cut" else other) + tail
    assert (agreed(database, changed) is None) == (changed != token)


# --- what the database alone knows ---------------------------------------------------------------


@pytest.fixture
def scratch(database: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The database, whose changes are rolled back."""
    with database.transaction(force_rollback=True):
        yield database


def register(conn: psycopg.Connection, organization: str, token_id: str, *, revoked: bool) -> None:
    conn.execute(
        "INSERT INTO pfa_token (organization_id, token_id, user_id, kind, role, rights, narrowed,"
        " organizations, key_id, issued_at, issued_by, expires_at, revoked_at, revoked_by)"
        " VALUES (%s, %s, 'ann', 'user', 'admin', '{}', false, %s, 'k', now(), 'ann', now(),"
        " CASE WHEN %s THEN now() END, CASE WHEN %s THEN 'ann' END)",
        (organization, token_id, [organization], revoked, revoked),
    )


def test_a_revoked_token_loses_the_organization_that_revoked_it_and_the_last_one_ends_it(scratch):
    grant = {"role": "viewer", "rights": ["read"]}
    token = signed(payload(organizations={"A": grant, "B": grant}))
    register(scratch, "A", "t-1", revoked=True)
    register(scratch, "B", "t-1", revoked=False)
    register(scratch, "B", "t-other", revoked=True)
    found = by_database(scratch, token, NOW)
    assert found is not None
    assert set(found["organizations"]) == {"B"}
    scratch.execute(
        "UPDATE pfa_token SET revoked_at = now(), revoked_by = 'x' WHERE token_id = 't-1'"
    )
    assert by_database(scratch, token, NOW) is None


def test_a_retired_key_verifies_nothing_whatever_the_time(scratch):
    token = signed(payload())
    assert signing_keys.retire(scratch, IDS[1], NOW)
    assert by_database(scratch, token, NOW - timedelta(seconds=30)) is None


def test_a_key_that_was_retired_does_not_come_back_and_an_end_only_comes_nearer(scratch):
    signing_keys.retire(scratch, IDS[1], NOW)
    signing_keys.register(scratch, [NewKey(IDS[1], SECRETS[1], None)], NOW)
    signing_keys.register(scratch, [NewKey(IDS[0], SECRETS[0], NOW)], NOW)
    signing_keys.register(scratch, [NewKey(IDS[0], SECRETS[0], None)], NOW)
    signing_keys.register(scratch, [NewKey(IDS[0], SECRETS[0], NOW + timedelta(days=1))], NOW)
    rows = {row.key_id: row for row in signing_keys.signing_keys(scratch)}
    assert rows[IDS[1]].retired_at == NOW
    assert (rows[IDS[0]].not_after, rows[IDS[0]].ended) == (NOW, datetime.now(UTC) > NOW)


def test_no_secret_is_stored_under_the_id_of_another(scratch):
    with pytest.raises(psycopg.errors.CheckViolation), scratch.transaction():
        signing_keys.register(scratch, [NewKey("0" * 16, "mine", None)], NOW)


# --- who may ask ---------------------------------------------------------------------------------


@pytest.fixture
def role(database: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The database as a role of the application sees it, which owns nothing."""
    name = sql.Identifier("pfa_test_application")
    with database.transaction(force_rollback=True):
        database.execute(sql.SQL("CREATE ROLE {}").format(name))
        database.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))
        database.execute(sql.SQL("SET LOCAL ROLE {}").format(name))
        yield database


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT secret FROM pfa_signing_key",
        "SELECT inner_key, outer_key FROM pfa_signing_key",
        "INSERT INTO pfa_signing_key (key_id, secret, created_at) VALUES ('a', 'b', now())",
        "SELECT token_id FROM pfa_token",
        "UPDATE pfa_token SET revoked_at = NULL",
        "SELECT pfa_hmac_pad('x', 54)",
        "SELECT * FROM pfa_verify_token('a.b.c', now())",
    ],
)
def test_only_the_owner_reads_keys_or_tokens_or_calls_the_verifier(role, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege), role.transaction():
        role.execute(statement)


def test_a_role_that_may_call_the_verifier_cannot_change_its_answer(role):
    token = signed(payload())
    role.execute("RESET ROLE")
    role.execute("GRANT EXECUTE ON FUNCTION pfa_verify_token TO pfa_test_application")
    role.execute("GRANT CREATE ON SCHEMA public TO pfa_test_application")
    role.execute("SET LOCAL ROLE pfa_test_application")
    role.execute("CREATE TEMP TABLE pfa_signing_key (key_id text, secret bytea)")
    role.execute("SET LOCAL standard_conforming_strings = off")
    role.execute("SET LOCAL search_path = pg_temp, public")
    assert by_database(role, token, NOW) == by_python(token, NOW)
    assert by_database(role, signed(payload(), None, "mine"), NOW) is None


def test_it_asks_for_nothing_that_writes_so_that_a_replica_can_answer(database):
    token = signed(payload())
    with database.transaction():
        database.execute("SET TRANSACTION READ ONLY")
        assert by_database(database, token, NOW) is not None


def test_its_words_are_those_of_the_program(database):
    roles, rights = database.execute("SELECT pfa_token_roles(), pfa_token_rights()").fetchone()
    assert set(roles) == set(Role)
    assert set(rights) == set(Right)
