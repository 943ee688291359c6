"""Suggestions for mistyped names, the nearest of every closed set, and words of hints as a shell reads them."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import pfa_cli
import pfa_core
from pfa_cli.commands.catalog import COMMANDS
from pfa_core.errors import NotFound
from pfa_core.model.suggest import nearest
from tests.cli.conftest import ready
from tests.program import Pfa, Ran

__all__ = ["ready"]

# Begins of what is typed: a command of pfa, or of another program.
_TYPED = re.compile(
    rf"\bpfa (?:{'|'.join(COMMANDS)})\b|\btype: |\b(?:chmod|rm -r|df -h|cd|export (?=[A-Z])) "
)
# What stands in a command as it is: no shell reads it otherwise.
_AS_IT_IS = {
    # codes of organizations, keys of settings, roles: letters, digits, dots, dashes, underscores
    *(
        "code",
        "principal.organization_id",
        "held",
        "', '.join(sorted(claims.organizations))",
        "role",
    ),
    *("key.name", "self.name", "setting.key", "pfa_core/admin/login_roles.py: name"),
    *("pfa_core/store/login_roles.py: name", "pfa_core/files/extras.py: name"),
    # ids that the program made
    *("run", "result.run_id", "detail.run.run_id", "report.behind_run_id", "self.entry_id"),
    *("stale[0]", "known[0].conflict_id", "words[1]"),
    # numbers and dates
    *(
        "number",
        "facts.number",
        "step.again",
        "again",
        "top",
        "report.top",
        "of_major",
        "of_major + 1",
        "found",
    ),
    *("before", "pfa_cli/commands/doctor.py: file"),
    # constants of the program
    *("near", "near or LIST", "meant", "options", "_COUNTED", "of_command[-1]", "command"),
    *("found[number][0]", "field.field", "','.join(report.calendar_by)", "within", "where"),
    *("_INSTEAD[path]", "path", "'' if result.redone else '--redo '", "'|'.join(SHELLS)"),
    *("pfa_cli/commands/completion.py: name", "argument"),
    # made of words that were written for a shell
    *("kept", "names", "given", "session", "entries", "named", "used", "typed", "hint"),
    *("_of(profile)", "_of(settings.profile)", "_name_another(settings.profile)", "_id(entry)"),
    *("gaps[0].command", "_files_of(past)"),
    *("pfa_cli/commands/transfer.py: name", "pfa_cli/commands/transfer.py: undone"),
    # said, not typed
    *("reason", "owner.name"),
}


def _commands(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, value and the text before it, of what is put into texts behind the begin of a command."""
    if not _TYPED.search(source):
        return
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        said = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                said += str(part.value)
            elif isinstance(part, ast.FormattedValue) and _TYPED.search(said):
                yield node.lineno, ast.unparse(part.value), said


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["list", "--sort", "-montlyRate"], 2, "did you mean monthlyRate?"),
        (["list", "--sort", "MONTHLYRATE"], 2, "did you mean monthlyRate?"),
        (["stats", "--by", "categori"], 2, "did you mean category?"),
        (["list", "--columns", "pfaid"], 2, "did you mean pfaId?"),
        (["list", "--state", "drafts"], 2, "did you mean draft?"),
        (["log", "--action", "comit"], 2, "did you mean commit?"),
        (["conflict", "list", "--status", "resolvd"], 2, "did you mean resolved?"),
        (["list", "--category", "crane"], 0, "did you mean 'Crane'?"),
        (["diff", "mine-x"], 6, "did you mean mine?"),
        (["commit", "--session", "MINE"], 6, "did you mean mine?"),
        (["discard", "--session", "mien"], 6, "did you mean mine?"),
        (["stats", "--session", "mien"], 0, " has no session 'mien'; did you mean mine?\n"),
        (["stats", "--session", "mien", "-o", "json"], 0, "did you mean mine?\n"),
        (["stats", "--session", "xyzzy"], 0, " has no session 'xyzzy'\n"),
        (["report", "--session", "mien"], 0, "did you mean mine?\n"),
        (["list", "--session", "mien"], 0, "did you mean mine?\n"),
        (["draft", "list", "--session", "mien"], 0, "did you mean mine?\n"),
        (["draft", "set", "--session", "mien", "model=Y"], 6, "did you mean mine?\n"),
        (["uncommit", "--session", "mien"], 6, "did you mean mine?"),
        (["show", "h-001"], 6, "did you mean H-001?"),
        (["log", "h-001"], 6, "did you mean H-001?"),
        (["commit", "--id", "h-001"], 6, "did you mean H-001?"),
        (["show", "H-1"], 6, "did you mean H-001?"),
        (["show", "h-00001"], 6, "did you mean H-001?"),
        (["commit", "--id", "H-1"], 6, "did you mean H-001?"),
        (["list", "--id", "H-001,H-002"], 0, "hint: type: --id H-001 --id H-002\n"),
        (["discard", "H-001"], 2, "hint: type: --id H-001, or --session H-001\n"),
        (["commit", "H-001", "H-002"], 2, "hint: type: --id H-001 --id H-002, or --session H-001"),
        (["draft", "shift", "7", "H-001"], 2, "hint: type: --id H-001, or --session H-001\n"),
        (
            ["show", "-x"],
            2,
            "hint: type: pfa show --help; an argument that begins with a dash: pfa show -- PFA_ID\n",
        ),
        (["diff", "-x"], 2, "begins with a dash: pfa diff -- SESSION\n"),
        (["db", "psql", "-x"], 2, "begins with a dash: pfa db psql -- PSQL_ARGUMENT\n"),
        (["show", "--outptu", "json"], 2, "hint: type: pfa show --help\n"),
        (["status", "-x"], 2, "hint: type: pfa status --help\n"),
        (["fields", "monthlyRate"], 2, "hint: type: pfa explain monthlyRate\n"),
        (["version", "H-001"], 2, "hint: type: pfa version --help\n"),
        (["help", "set"], 2, "hint: type: pfa help draft set\n"),
        (["set"], 2, "hint: type: pfa draft set\n"),
        (["help", "lits"], 2, "hint: type: pfa help list\n"),
        (["help", "xyzzy"], 2, "hint: type: pfa --help\n"),
        (["draft", "set", "H-001", "montlyRate=1"], 9, "did you mean monthlyRate?"),
        (["draft", "shfit"], 2, "type: pfa draft shift\n"),
        (["lits"], 2, "type: pfa list"),
        (["list", "--catgory", "Crane"], 2, "--category"),
        (["list", "--org", "HLONG"], 6, "did you mean HOLNG?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_nearest_of_a_closed_set_is_named(
    ready: Pfa, words: list[str], code: int, says: str
) -> None:
    assert ready("draft", "set", "H-001", "model=X", "--into", "mine").code == 0
    ran = ready(*words)
    assert (ran.code, says in ran.err) == (code, True), ran.err


def test_an_organization_is_never_proposed_where_a_known_one_is_meant(ready: Pfa) -> None:
    assert "pfa init" not in ready("list", "--org", "HLONG").err
    assert "pfa init --org ELSEWHERE" in ready("list", "--org", "ELSEWHERE").err


def test_what_was_typed_is_not_suggested(ready: Pfa) -> None:
    assert ready("draft", "set", "H-001", "model=X", "--into", "mine").code == 0
    assert "did you mean" not in ready("uncommit", "--session", "mine").err


def test_a_word_that_only_begins_alike_is_not_meant(ready: Pfa) -> None:
    assert "conflict" not in ready("config").err
    assert "hint: columns: pfaId" in ready("list", "--columns", "xyz").err


def test_the_nearest_is_found_whatever_the_case() -> None:
    assert nearest("CRANE", ["Loader", "Crane"]) == "Crane"
    assert nearest("zzz", ["Loader", "Crane"]) == ""


def test_a_record_that_differs_in_more_than_zeros_is_not_meant(ready: Pfa) -> None:
    for other in ("H-10", "H-", "X-1", "H-1x"):
        assert "did you mean" not in ready("show", other).err, other


def _typed(ran: Ran, *command: str) -> list[str]:
    """Read a command that was named on stderr as a shell does, with all that follows it."""
    said = ran.err.replace(";", " ;")
    return shlex.split(said[said.index(" ".join(command)) :].splitlines()[0])


def test_a_command_that_is_named_is_typed_as_it_stands(
    ready: Pfa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each kind of word that a user chose: files, sessions, profiles, views, users, organizations, records."""
    monkeypatch.chdir(tmp_path)
    name, odd = "it's $HOME.csv", "o'clock & co"
    assert _typed(ready("sync", "pull", "--", name, "-x.csv"), "pfa", "sync")[3:] == [
        *("--from", name),
        "./-x.csv",
    ]
    secret = tmp_path / "a b"
    secret.touch(mode=0o644)
    secret.chmod(0o644)
    assert _typed(ready("list", "--token-file", "a b"), "chmod") == ["chmod", "600", "a b"]
    assert ready("draft", "set", "H-001", "model=X", "--into", odd).code == 0
    assert odd in ready("status").out
    assert shlex.split(ready("status", "-o", "json").json["data"]["nextCommand"])[-1] == odd
    assert _typed(ready("list", "--to", name), "pfa", "draft")[3:] == [name, "-n"]
    assert _typed(ready("plan", "--session", odd, "--to", name), "pfa", "commit")[-1] == name
    refused = ready("commit", "--plan", name, "--id", "H-001")
    assert _typed(refused, "pfa", "commit")[-1] == name
    with pytest.raises(NotFound) as unknown:
        pfa_core.remove_profile(odd)
    assert shlex.split(unknown.value.hint)[-1] == odd
    kept = ready("view", "save", odd, "--category", "Crane")
    assert kept.code == 0
    assert _typed(ready("view", "show", odd, "--to", name), "pfa", "view")[-1] == name
    assert _typed(ready("list", "--org", odd), "pfa", "init")[3] == odd
    assert _typed(ready("list", "--id", f"{odd},H-001"), "--id")[1] == odd
    user = "o'neil&co"
    assert ready("user", "grant", user, "--role", "viewer").code == 0
    lacking = ready("auth", "issue", "--user", user, "--role", "admin")
    assert _typed(lacking, "pfa", "user")[3] == user


def test_names_that_begin_with_a_dash_are_typed_as_they_are_named(ready: Pfa) -> None:
    """What the program names is typed: a session, a record and a user called as an option is."""
    saved = ready("draft", "set", "H-001", "model=X", "--into", "-n")
    shown = _typed(saved, "pfa", "diff")
    assert shown == ["pfa", "diff", "--", "-n"]
    seen = ready("diff", "-o", "ids", *shown[2:])
    assert (seen.code, seen.out) == (0, "H-001\n"), seen.err
    following = shlex.split(ready("status", "-o", "json").json["data"]["nextCommand"])
    assert following == ["pfa", "commit", "--session", "-n"]
    assert ready(*following[1:], "--yes").code == 0
    again = ready("discard", "--session", "-n")
    assert again.code == 7, again.err
    back = _typed(again, "pfa", "uncommit")[:4]
    assert back == ["pfa", "uncommit", "--session", "-n,"], again.err
    assert ready("user", "grant", "--role", "viewer", "--", "--all").code == 0
    lacking = ready("auth", "issue", "--user", "--all", "--role", "admin")
    granted = _typed(lacking, "pfa", "user", "grant")
    assert granted == ["pfa", "user", "grant", "--role", "admin", "--", "--all"]
    assert ready(*granted[1:]).code == 0
    assert ready("auth", "issue", "--user", "--all", "--role", "admin").code == 0


def test_what_a_command_has_of_others_is_written_for_a_shell() -> None:
    """A value in what is to be typed goes through `pfa_core.model.shell`, or is one that needs no quotes.

    `shell.word` alone writes the value of an option: as an argument, one that begins with a dash is an option.
    """
    root = Path(pfa_core.__file__).parent.parent
    quoted = re.compile(r"(?:shell\.(?:word|file|command)|typed|shlex\.quote|count)\(")
    of_option = re.compile(r"(?: --[a-z-]+ | -c |=)$")
    raw = [
        f"{place}: {value} (line {line})"
        for package in (pfa_cli, pfa_core)
        for path in sorted(Path(package.__path__[0]).rglob("*.py"))
        for line, value, before in _commands(path.read_text())
        if (place := path.relative_to(root))
        if not quoted.match(value)
        or (value.startswith("shell.word(") and not of_option.search(before))
        if not {value, f"{place}: {value}"} & _AS_IT_IS
    ]
    assert raw == []
