"""What a distributed server refuses or executes badly, found in the text of a statement.

Tables of one organization lie together on a node; temporary tables lie where the client is connected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

TEMPORARY = r"pfa_(?:incoming|seen|absent|same)\b"

DISTRIBUTED = (
    r"\b(?:pfa_(?!incoming|seen|absent|same|signing_key|rls_secret|schema_migration)\w+|kpi_\w+|audit_\w+)"
    r"(?![\w(])"
)
SETS = (
    r"(?:unnest|jsonb_each(?:_text)?|jsonb_object_keys|jsonb_array_elements(?:_text)?|"
    r"jsonb_to_recordset|generate_series)\("
)
VOLATILE = re.compile(r"\b(?:clock_timestamp|gen_random_uuid|random|nextval|timeofday)\(")
Rule = Callable[[str], bool]


def plain(text: str) -> str:
    """The text without comments and without the content of literals."""
    text = re.sub(r"--.*", "", text)
    return re.sub(r"'(?:[^']|'')*'", "''", text)


def enclosed(text: str, opening: str) -> Iterator[tuple[str, str]]:
    """What is in brackets behind each place that matches, and the text around the brackets."""
    for match in re.finditer(opening + r"\s*\(", text):
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield text[match.end() : end - 1], text[: match.start()] + text[end:]


def own_names(text: str) -> set[str]:
    """The names that the tables of a (sub-)select have in it."""
    named = re.findall(r"(?:\)|[\w.]+)\s+AS\s+(\w+)", text)
    return {*named, *re.findall(r"\b(?:FROM|JOIN)\s+(\w+)", text)}


def is_correlated(inner: str, outer: str) -> bool:
    """Whether a sub-select names a table of the statement around it."""
    there = own_names(outer) - own_names(inner)
    return any(name in there for name in re.findall(r"\b(\w+)\.", inner))


def names_no_organization(text: str) -> bool:
    """Whether a function's statement reads more tables of organizations than it compares organizations."""
    if re.search(r"\bCREATE (?!OR |FUNCTION)", text):
        return False
    tables = re.findall(rf"\b(?:FROM|JOIN|UPDATE(?! SET)|USING)\s+{DISTRIBUTED}", text)
    return len(tables) > len(re.findall(r"\borganization_id\s*=", text))


def not_in_a_table(text: str) -> bool:
    return any(re.match(r"\s*SELECT\b", inner) for inner, _ in enclosed(text, r"\bNOT IN"))


def looks_up_a_temporary_table(text: str) -> bool:
    """Whether a correlated sub-select joins temporary and distributed tables."""
    for inner, outer in enclosed(text, r"(?:\bEXISTS|\bLATERAL|[=<>]|\bARRAY|\bcoalesce|,)"):
        of_one, around = inner, outer
        if not re.match(r"\s*\(?\s*SELECT\b", of_one) or not is_correlated(of_one, around):
            continue
        for one, other in ((of_one, around), (around, of_one)):
            if re.search(TEMPORARY, one) and re.search(DISTRIBUTED, other):
                return True
    return False


def looks_up_for_each_of_a_set(text: str) -> bool:
    """Whether a table is looked up for each row of a set-returning function."""
    for inner, outer in enclosed(text, r"\bEXISTS"):
        if re.search(DISTRIBUTED, inner) and is_correlated(inner, outer):
            sets = re.findall(
                rf"(?:FROM|JOIN|,)\s+(?:LATERAL\s+)?{SETS}(?:[^()]|\([^()]*\))*\)\s+AS\s+(\w+)",
                outer,
            )
            if any(re.search(rf"\b{name}\.", inner) for name in sets):
                return True
    return False


def changes_rows_by_a_volatile_function(text: str) -> bool:
    if not re.search(rf"(?:\bUPDATE|\bDELETE FROM)\s+{DISTRIBUTED}|\bDO UPDATE\b", text):
        return False
    written = re.split(r"\bDO UPDATE\b", text)[-1] if re.match(r"\s*INSERT\b", text) else text
    return bool(VOLATILE.search(written))


def changes_both_kinds_of_tables(text: str) -> bool:
    """Whether a part of a statement changes a temporary table beside a distributed one."""
    for inner, outer in enclosed(text, r"(?:\bWITH|,)\s+\w+\s+AS(?:\s+MATERIALIZED)?"):
        if re.match(rf"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+{TEMPORARY}", inner):
            return bool(re.search(DISTRIBUTED, inner + outer))
    return False


def reads_late_what_is_changed_beside(text: str) -> bool:
    """Whether a part of a statement may read rows after another part has changed them.

    PostgreSQL reads all of them as they were; a distributed server executes one part after the other, and what is
    read in one place alone when that place comes.
    """
    names = re.findall(r"(?:\bWITH|,)\s+(\w+)\s+AS\s*\(", text)
    parts = enclosed(text, r"(?:\bWITH|,)\s+\w+\s+AS")
    for name, (inner, outer) in zip(names, parts, strict=True):
        is_read = re.match(r"\s*SELECT\b", inner) and not re.search(
            r"\bFOR (?:NO KEY )?UPDATE", inner
        )
        if not is_read or len(re.findall(rf"\b(?:FROM|JOIN|USING|,)\s+{name}\b", outer)) > 1:
            continue
        for table in re.findall(rf"\b(?:FROM|JOIN)\s+({DISTRIBUTED})", inner):
            if re.search(
                rf"\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+{table}\b.*\bRETURNING\b",
                outer,
                re.DOTALL,
            ):
                return True
    return False


def changes_rows_by_the_session_s_zone(text: str) -> bool:
    """Whether a time is computed beside a column, or within CASE, by what depends on the session's time zone."""
    for match in re.finditer(rf"\b(?:UPDATE\s+{DISTRIBUTED}|DO UPDATE\b)[^;]*", text):
        changed = re.split(r"\b(?:FROM|WHERE|RETURNING)\b", match[0])[0]
        of_one_zone = re.sub(r"AT TIME ZONE ''\s*\+ interval ''", "", changed)
        if re.search(r"\binterval ''", of_one_zone) and re.search(
            r"\b(?:CASE|coalesce|greatest|least)\b|\b\w\.\w+ [+-]|[+-] \w\.", of_one_zone
        ):
            return True
    return False


def asks_a_parameter_whether_to_update(text: str) -> bool:
    """Whether an insert of selected rows has a parameter in what it does with a row that is there."""
    match = re.search(
        rf"\bINSERT INTO\s+{DISTRIBUTED}.*?\bSELECT\b.*\bDO UPDATE\b(.*)", text, re.DOTALL
    )
    return bool(match and "%(" in match[1])


def alters_several_things(text: str) -> bool:
    """Whether one ALTER TABLE has several subcommands, of which one is about a constraint."""
    for match in re.finditer(r"\bALTER TABLE\b([^;]*)", text):
        commands = re.findall(
            r"\b(?:ADD|DROP|ALTER|VALIDATE|RENAME)\s+(?:CONSTRAINT|COLUMN|CHECK)\b", match[1]
        )
        about = re.search(r"\b(?:CONSTRAINT|CHECK|UNIQUE|PRIMARY KEY|REFERENCES)\b", match[1])
        if len(commands) > 1 and about:
            return True
    return False


RULES: Mapping[str, Rule] = {
    "NOT IN over a table": not_in_a_table,
    "a look-up between temporary and distributed tables": looks_up_a_temporary_table,
    "a look-up for each row of a set": looks_up_for_each_of_a_set,
    "a volatile function in a change": changes_rows_by_a_volatile_function,
    "a change of a temporary table beside a distributed one": changes_both_kinds_of_tables,
    "a look at rows that are changed beside it": reads_late_what_is_changed_beside,
    "a time by the session's zone in a change": changes_rows_by_the_session_s_zone,
    "a parameter beside a conflict": asks_a_parameter_whether_to_update,
    "several subcommands of ALTER TABLE": alters_several_things,
}


def faults(text: str) -> list[str]:
    """The rules that the statement breaks."""
    content = plain(text)
    return [name for name, is_broken in RULES.items() if is_broken(content)]
