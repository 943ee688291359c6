"""Words by name: each with every meaning that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pfa_cli import exit_codes
from pfa_cli.envelopes.glossary import Explanation, FieldInfo
from pfa_cli.glossary import codes, terms
from pfa_cli.glossary.codes import Meaning
from pfa_cli.glossary.fields import field_infos
from pfa_core import errors
from pfa_core.errors import PfaError
from pfa_core.model.suggest import nearest

_BETWEEN = re.compile(r"[\s_-]+")


def explanations() -> list[Explanation]:
    """List every word with each of its meanings, by kind."""
    return [
        *_terms("term", terms.TERMS),
        *_terms("state", terms.STATES),
        *map(_of_field, field_infos()),
        *_of_errors(PfaError),
        *_terms("error code", codes.OF_PARTS, exit_codes.PARTLY_DONE),
        *_terms("fault code", codes.FAULTS),
        *_of_exit_codes(),
        *_terms("run status", terms.RUN_STATUSES),
        *_terms("action", terms.ACTIONS),
        *_terms("right", terms.RIGHTS),
        *_terms("role", terms.ROLES),
    ]


def explain(word: str) -> list[Explanation]:
    """List the meanings of a word.

    Its case, blanks, dashes and underscores do not count.
    """
    wanted = _normal(word)
    return [one for one in explanations() if _normal(one.word) == wanted]


def like(word: str) -> str:
    """Return the known word that is most like another, empty where none is."""
    known = {_normal(one.word): one.word for one in explanations()}
    return known.get(nearest(_normal(word), known), "")


def _normal(word: str) -> str:
    return _BETWEEN.sub("", word).casefold()


def _terms(
    kind: str, meanings: Mapping[Any, Meaning], exit_code: int | None = None
) -> Iterator[Explanation]:
    for word, meaning in meanings.items():
        yield Explanation(
            word=str(word), kind=kind, means=meaning.means, next=meaning.next, exit_code=exit_code
        )


def _of_field(field: FieldInfo) -> Explanation:
    facts = [
        " or ".join(field.choices) or field.kind,
        field.unit,
        "editable" if field.editable else "written by PEMS alone",
        "sortable" if field.sortable else "",
        f"filters: {', '.join(field.filters)}" if field.filters else "",
    ]
    facts_text = "; ".join(filter(None, facts))
    following = f"pfa draft set ID {field.field}=VALUE" if field.editable else ""
    return Explanation(
        word=field.field, kind="field", means=f"{field.means} ({facts_text})", next=following
    )


def _of_errors(kind: type[PfaError]) -> Iterator[Explanation]:
    """Yield an explanation of each error code, that of its innermost class."""
    seen: set[str] = set()
    for one in _kinds(kind):
        if one.code in seen:
            continue
        seen.add(one.code)
        first = (one.__doc__ or "").partition("\n")[0].rstrip(".")
        begins_with_name = first.split()[0].isupper() and first[1] != " "
        yield Explanation(
            word=one.code,
            kind="error code",
            means=first if begins_with_name else first[:1].lower() + first[1:],
            next=codes.CURES[one.code],
            exit_code=one.exit_code,
            retryable=one.retryable,
        )


def _kinds(kind: type[PfaError]) -> Iterator[type[PfaError]]:
    """Yield the errors below one, the innermost first."""
    for inner in kind.__subclasses__():
        if inner.__module__ == errors.__name__:
            yield from _kinds(inner)
            yield inner


def _of_exit_codes() -> Iterator[Explanation]:
    found: dict[int, list[str]] = {number: [] for number in terms.EXIT_CODES}
    for one in _kinds(PfaError):
        names = found.setdefault(one.exit_code, [])
        if one.code not in names:
            names.append(one.code)
    for number in sorted(found):
        own = terms.EXIT_CODES.get(number)
        means = own.means if own else f"ended with {' or '.join(found[number])}"
        following = "" if own else f"pfa explain {found[number][0]}"
        yield Explanation(
            word=str(number), kind="exit code", means=means, next=following, exit_code=number
        )
