"""Values that were kept for the organization that the environment names."""

from __future__ import annotations

import pytest

from pfa_cli.completion import cache

ORG = "HOLNG"
ADDRESS = "postgresql://anna@db.example/pfa"
AWKWARD = (
    "Crane Big",
    'Gen: 5 $HOME "q" it\'s',
    "Öl & Gas",
    "a*b?[c]",
    "x=y",
    "semi;colon!",
    "back\\slash",
    "~tilde",
)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What commands kept for HOLNG: awkward categories, areas, a record."""
    monkeypatch.setenv("PFA_ORG", ORG)
    monkeypatch.setenv("PFA_DATABASE_URL", ADDRESS)
    values = {
        "category": [*AWKWARD, "ev\x1b[2Jil"],
        "areaSilo": ["Silo 4", "Silo 5"],
        "record": ["HOLNG-000123"],
    }
    assert cache.keep(cache.key(ADDRESS, ORG), values)
