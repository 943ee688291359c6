"""Row-level security against a user with the application's database password and psql, and no right.

Each test speaks SQL as a login role that is a member of pfa_app, as psql would. Two organizations, ORG and
FOREIGN, with records, drafts, tokens and a trail; ann is an admin of ORG and nothing else, ben an editor
there, eve the admin of FOREIGN.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

import pfa_core
from tests import citus
from tests.factories import a_world, draft, record
from tests.rls.two import TENANT_TABLES, Two
from tests.server import bound_url


@pytest.fixture(scope="session", autouse=True)
def policies() -> None:
    """What these tests are about: there are none on distributed tables."""
    if citus.is_named:
        pytest.skip("distributed tables have no row-level security")


@pytest.fixture(scope="module")
def two(postgres, template) -> Iterator[Two]:
    with pytest.MonkeyPatch.context() as patch, postgres.database(template) as url:
        patch.setenv("PFA_TEST_BOUND", "1")
        org = a_world(url, record("P-1"), record("P-2"), users={"ann": "admin", "ben": "editor"})
        foreign = a_world(
            url,
            record("F-1", category="Secret thing", monthlyRate=777),
            organization="FOREIGN",
            users={"eve": "admin"},
        )
        draft(org.db, org.principal("ann"), "P-1", monthlyRate=1)
        draft(org.db, org.principal("ben"), "P-1", monthlyRate=2)
        draft(org.db, org.principal("ben"), "P-2", session="sent", monthlyRate=3)
        pfa_core.commit(org.db, org.principal("ben"), pfa_core.Selection(session_id="sent"))
        draft(foreign.db, foreign.principal("eve"), "F-1", monthlyRate=888)
        tables = [row[0] for row in org.rows(TENANT_TABLES)]
        with psycopg.connect(url, autocommit=True) as owner:
            yield Two(url, bound_url(url), org, foreign, tables, owner)
        org.db.close()
        foreign.db.close()
