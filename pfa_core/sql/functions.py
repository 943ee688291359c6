"""Functions of the database that write for the application's role.

The role may write no table. What it writes, it writes by calling one of these: a statement of the files beside
this one, and in front of it the check of who calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString, cast

# Every scope of a context, for what asks only for a member of the organization.
ANY = "any"
_PARAMETER = re.compile(r"%\((\w+)\)s")
_RETURNING = re.compile(r"\nRETURNING [\w. ():,]+\Z")
# The type of a parameter of each name; a name means the same in all files.
_TYPES: Mapping[str, str] = {
    "action": "text",
    "after": "boolean",
    "asked_at": "timestamptz",
    "at": "timestamptz",
    "base": "boolean",
    "before": "boolean",
    "began_at": "timestamptz",
    "behind": "integer",
    "behind_since": "timestamptz",
    "claims": "jsonb",
    "conflicts": "jsonb",
    "content": "jsonb",
    "counts": "jsonb",
    "currency": "text",
    "direction": "text",
    "disputes": "jsonb",
    "drafts": "jsonb",
    "earlier": "uuid",
    "entries": "jsonb",
    "finished_at": "timestamptz",
    "first": "text",
    "first_digits": "text",
    "foreign_currency": "text",
    "gone": "uuid",
    "host": "text",
    "ids": "text[]",
    "keep": "uuid",
    "kind": "text",
    "known": "jsonb",
    "last": "text",
    "last_id": "text",
    "marks": "jsonb",
    "max_money": "numeric",
    "max_percent": "numeric",
    "max_records": "integer",
    "message": "text",
    "modification_ids": "uuid[]",
    "modifications": "jsonb",
    "name": "text",
    "now": "timestamptz",
    "organization_id": "text",
    "outcomes": "jsonb",
    "owner_id": "uuid",
    "pid": "integer",
    "rate_uom": "text",
    "refreshed": "jsonb",
    "rejections": "jsonb",
    "resolutions": "jsonb",
    "returns": "jsonb",
    "rights": "text[]",
    "role": "text",
    "row_count": "integer",
    "row_offset": "integer",
    "run_id": "uuid",
    "since": "timestamptz",
    "source": "text",
    "started_at": "timestamptz",
    "status": "text",
    "too_late": "timestamptz",
    "until": "timestamptz",
    "user_id": "text",
    "users": "text[]",
    "was": "boolean",
}
# What the caller does not choose: the user, the link and the time are the database's.
# In a sub-select each is computed once, not for every row.
_CALLER = "(SELECT pfa_context_user())"
_OWN: Mapping[str, str] = {
    "administers": "(SELECT pfa_has_right('manage_settings'))",
    "at": "statement_timestamp()",
    "granted_by": _CALLER,
    "link_id": "(SELECT pfa_link_id(pfa_context_organization()))",
    "owner": _CALLER,
    "resolved_by": _CALLER,
}
# Nothing happened, or will, later than the database's clock allows.
_BOUNDED: Mapping[str, str] = {
    "began_at": "CASE WHEN {0} IS NOT NULL THEN least({0}, clock_timestamp()) END",
    "gone": "pfa_ended_run({0})",
    "finished_at": "CASE WHEN {0} IS NOT NULL THEN least({0}, clock_timestamp()) END",
    "since": "CASE WHEN {0} IS NOT NULL THEN least({0}, clock_timestamp()) END",
    "started_at": "CASE WHEN {0} IS NOT NULL THEN least({0}, clock_timestamp()) END",
    "too_late": "greatest({0}, clock_timestamp() + interval '1 hour')",
    "until": "least({0}, clock_timestamp() + interval '1 hour')",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A statement of a function.

    `after`: the earlier step without whose rows it is left out.
    """

    name: str
    text: str
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFunction:
    """A function of the database that executes one or several statements.

    Args:
        scopes: In which scopes it may be called.
        steps: Its statements, in order.
        others: It may be about another user in an admin's scope; else `user_id` is the caller.
        subject: `user_id` is whom it is about, not the caller.
        returns: Columns with types, of a single statement that returns rows; else numbers of rows.
        trail: What entries of the trail have to say of each changed row, and the column with its id; of a change
            without an id only the former.
        unless: Conditions under which it is refused.
        deltas: The parameter whose rows have deltas, which the caller has to have the rights for.
        mirror: It changes the mirror, whose other writers wait.
        then: Statements of the function alone, after the others.
    """

    name: str
    scopes: Sequence[str]
    steps: Sequence[Step]
    others: bool = False
    subject: bool = False
    returns: str = ""
    trail: str = ""
    unless: Sequence[str] = ()
    deltas: str = ""
    mirror: bool = False
    then: str = ""

    @property
    def parameters(self) -> list[str]:
        """List the parameters that the caller gives."""
        texts = [*(step.text for step in self.steps), *self.unless]
        names = dict.fromkeys(name for text in texts for name in _PARAMETER.findall(text))
        return [name for name in names if name not in _OWN]

    @property
    def call(self) -> LiteralString:
        """Return the statement that calls it."""
        given = ", ".join(f"%({name})s::{_TYPES[name]}" for name in self.parameters)
        # Of names in the package's own files.
        return cast("LiteralString", f"SELECT * FROM {self.name}({given})")  # noqa: S608

    def definition(self) -> str:
        """Write the statement that creates it."""
        arguments = ", ".join(f"given_{name} {_TYPES[name]}" for name in self.parameters)
        returns = f"TABLE ({self.returns})" if self.returns else "bigint[]"
        body = "\n".join(_indented(line) for line in self._body())
        return (
            f"CREATE FUNCTION {self.name}({arguments}) RETURNS {returns}\n"
            "LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$\n"
            "#variable_conflict use_column\n"
            "DECLARE\n"
            "    touched uuid[];\n"
            "    done    bigint[] := '{}';\n"
            "    number  bigint;\n"
            f"BEGIN\n{body}\nEND $$;\n"
        )

    def _body(self) -> list[str]:
        lines = [self._authorization()]
        if self.mirror:
            lines.append(
                "PERFORM FROM pfa_organization AS o\n"
                f"WHERE o.organization_id = {self._placed('%(organization_id)s')} FOR NO KEY UPDATE;"
            )
        if any("pfa_incoming" in one.text and "CREATE TEMP" not in one.text for one in self.steps):
            lines.append("PERFORM pfa_require_own_incoming();")
        lines += [
            f"IF ({self._placed(condition)}) IS NOT FALSE THEN\n    RAISE insufficient_privilege USING MESSAGE = "
            "'the transaction is not authorized for this', CONSTRAINT = 'pfa_refusal';\nEND IF;"
            for condition in self.unless
        ]
        if self.deltas:
            changed = "true" if self.trail.startswith("write") else "false"
            lines.append(
                "IF NOT pfa_may_write_all() THEN\n"
                f"    PERFORM pfa_require_fields({self._placed(self.deltas)}, {changed});\nEND IF;"
            )
        lines += self._rows() if self.returns or self.trail else self._counts()
        return lines

    def _authorization(self) -> str:
        given = self.parameters
        organization, user, about = "pfa_context_organization()", "NULL", "none"
        if "organization_id" in given:
            organization = self._placed("%(organization_id)s")
        if "user_id" in given and not self.subject:
            user, about = self._placed("%(user_id)s"), "admins" if self.others else "own"
        scopes = ",".join(self.scopes)
        return f"PERFORM pfa_require_caller({organization}, {user}, '{{{scopes}}}', '{about}');"

    def _counts(self) -> list[str]:
        lines: list[str] = []
        places = {step.name: place for place, step in enumerate(self.steps, 1)}
        for step in self.steps:
            text = _RETURNING.sub("", self._placed(step.text))
            if text.startswith("SELECT"):  # it locks; what it gives goes nowhere
                text = text.replace("SELECT", "PERFORM", 1)
            execute = f"{text};\nGET DIAGNOSTICS number = ROW_COUNT;"
            if step.after:
                execute = f"number := 0;\nIF done[{places[step.after]}] > 0 THEN\n{_indented(execute)}\nEND IF;"
            lines += [execute, "done := done || number;"]
        if self.then:
            lines.append(f"{self.then};")
        return [*lines, "RETURN done;"]

    def _rows(self) -> list[str]:
        text = self._placed(self.steps[0].text)
        if not self.trail:
            return [f"RETURN QUERY {text};"]
        kind, _, column = self.trail.partition(" ")
        if not column:
            expected = f"PERFORM pfa_expect_entries('{kind}', NULL, number::integer);"
            if self.returns:
                return [
                    f"RETURN QUERY {text};",
                    "GET DIAGNOSTICS number = ROW_COUNT;",
                    expected,
                ]
            return [
                f"{_RETURNING.sub('', text)};",
                "GET DIAGNOSTICS number = ROW_COUNT;",
                expected,
                "RETURN done || number;",
            ]
        text = _RETURNING.sub("", text)
        lines = [
            f"WITH changed AS (\n{text}\nRETURNING {column} AS changed_id)\n"
            "SELECT coalesce(array_agg(c.changed_id), '{}') INTO touched FROM changed AS c;",
            f"PERFORM pfa_expect_entries('{kind}', touched, cardinality(touched));",
        ]
        if self.returns:
            return [*lines, "RETURN QUERY SELECT unnest(touched)::text;"]
        return [*lines, "RETURN done || cardinality(touched)::bigint;"]

    def _placed(self, text: str) -> str:
        """Put the function's own values and parameters into a statement."""
        places = {name: f"${place}" for place, name in enumerate(self.parameters, 1)}

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name in _OWN:
                return _OWN[name]
            return _BOUNDED.get(name, "{0}").format(places[name])

        return _PARAMETER.sub(value, text).rstrip(";").replace("%%", "%")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else line for line in text.split("\n"))
