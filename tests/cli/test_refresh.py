"""`pfa auth refresh` of a token that holds several organizations."""

from __future__ import annotations

from tests.cli.conftest import ready
from tests.program import Pfa

__all__ = ["ready"]


def test_a_token_of_several_organizations_is_refreshed(ready: Pfa) -> None:
    assert ready("init", "--org", "TWO").code == 0
    for words in (("auth", "refresh"), ("auth", "refresh", "--revoke-old")):
        ran = ready(*words)
        assert ran.code == 0, ran.err
    for organization in ("HOLNG", "TWO"):
        assert ready("log", "verify", "--org", organization).code == 0
        assert ready("list", "--org", organization).code == 0
