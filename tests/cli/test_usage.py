"""The command line itself: options before and after the command, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import pfa_cli.framework.invocation
from pfa_cli.app import app, main
from pfa_cli.commands.drafts.shift import days_of
from pfa_cli.framework.durations import parse_duration
from pfa_core.errors import InvalidRequest


@pytest.fixture
def commons(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The common options that a command ends up with; it gets no further."""
    seen: list[Any] = []

    def look(call: pfa_cli.framework.invocation.Invocation, *_: Any) -> None:
        seen.append(call.common)
        raise InvalidRequest("far enough")

    monkeypatch.setattr(pfa_cli.framework.invocation.Invocation, "look", look)
    monkeypatch.setattr(pfa_cli.framework.invocation.Invocation, "open", look)
    return seen


TWICE = {
    "commit --session a --session b": "--session",
    "discard --view a --view a": "--view",
    "list --search a --category C --search b": "--search",
    "revert --session a --session b -n": "--session",
    "draft set --into a monthlyRate=1 --into b": "--into",
    "list --actualized --no-actualized": "--actualized",
}


@pytest.mark.parametrize("line", TWICE)
def test_an_option_of_one_value_is_given_once(
    commons: list[Any], capsys: pytest.CaptureFixture[str], line: str
) -> None:
    assert main(line.split()) == 2
    assert f"{TWICE[line]} is given twice: it takes one value" in capsys.readouterr().err
    assert commons == []


@pytest.mark.parametrize(
    "line",
    [
        "list --session a --session b --category A --category B",
        "list -o json -o csv --org X --org Y",
        "commit --id A --id B",
        "list -v -v -q",
    ],
)
def test_options_that_widen_and_those_of_every_command_are_given_again(
    commons: list[Any], line: str
) -> None:
    main(line.split())
    assert len(commons) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--org", "X", "-q", "version"],
        ["version", "--org", "X", "-q"],
        ["--org", "Y", "-q", "version", "--org", "X"],
        ["--org", "X", "user", "-q", "list"],
        ["user", "--org", "X", "list", "-q"],
        ["user", "list", "--org=X", "--quiet"],
    ],
    ids=" ".join,
)
def test_common_options_come_before_or_after_the_command_and_the_inner_one_wins(
    words: list[str], commons: list[Any]
) -> None:
    main(words)
    assert (commons[0].org, commons[0].quiet) == ("X", True)


@pytest.mark.parametrize(
    "words",
    [["-n", "commit"], ["commit", "-n"], ["commit", "--dry-run"], ["user", "-n", "revoke", "anna"]],
    ids=" ".join,
)
def test_a_dry_run_is_asked_for_before_or_after_the_command(
    words: list[str], commons: list[Any]
) -> None:
    main(words)
    assert commons[0].dry_run


def test_a_dry_run_that_a_command_lacks_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["-n", "auth", "logout"]) == 2
    assert "has no dry run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lst"], "unknown command 'lst'"),
        (["draft", "sav"], "sav"),
        (["list", "--categry", "Crane"], "--categry"),
        (["list", "-o", "xml"], "xml"),
        (["list", "--page", "0"], "--page"),
        (["list", "--page", "one"], "one"),
        (["list", "--sort", "colour"], "cannot sort by 'colour'"),
        (["list", "--start-from", "2026-02-30"], "--start-from"),
        (["list", "--state", "pending"], "invalid state: 'pending'"),
        (["draft", "save"], "FILE"),
        (["draft", "set", "HOLNG-000001"], "no FIELD=VALUE"),
        (["draft", "set", "dor=BEO"], "no record is selected"),
        (["draft", "shift", "14"], "no record is selected"),
        (["draft", "shift", "14", "--all", "--category", "Crane"], "cannot be combined"),
        (["draft", "shift", "soon", "--all"], "soon"),
        (
            ["draft", "set", "H-001", "dor=BEO", "--session", "a", "--session", "b"],
            "--session can be given once when records are named",
        ),
        (["init"], "no organization is given"),
        (["draft", "shift", "14", "--catgory", "Crane"], "--catgory"),
        (["list", "--after", "x", "--page", "2"], "--after and --page cannot be combined"),
        (["list", "--page", "2", "--all"], "--page and --all cannot be combined"),
        (["list", "--page", "2", "--limit", "0"], "--page and --limit 0 cannot be combined"),
        (["list", "--page", "2", "--limit", "10001"], "a page has at most 10,000 records"),
        (["list", "--all", "--limit", "5"], "--all and --limit 5 cannot be combined"),
        (["list", "--after", "x"], "invalid cursor"),
        (["log", "--follow", "--until", "2026-01-01"], "--follow and --until cannot be combined"),
        (["discard"], "nothing to discard is selected"),
        (["uncommit"], "nothing to uncommit is selected"),
        (["discard", "--all", "--session", "s"], "cannot be combined"),
        (["sync", "pull", "--from", "x", "--incremental"], "cannot be combined with --from"),
        (["auth", "issue", "--user", "anna", "--ttl", "long"], "invalid duration 'long'"),
        (["user", "grant", "anna"], "--role"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_one_error_line_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert last.endswith("[INVALID_REQUEST]")
    assert message in last


@pytest.mark.parametrize(
    "words",
    [
        ["--error-format", "json", "list", "--foo"],
        ["list", "--foo", "--error-format=json"],
        ["list", "--foo", "-o", "json"],
        ["-ojsonl", "list", "--foo"],
        ["--output=json", "lst"],
    ],
    ids=" ".join,
)
def test_usage_errors_are_json_for_programs_that_read_json(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    error = json.loads(lines[0])["error"]
    assert (error["code"], error["exitCode"], error["retryable"]) == ("INVALID_REQUEST", 2, False)
    assert set(error) == {"code", "message", "exitCode", "retryable", "hint", "details", "groups"}


def test_errors_stay_text_when_asked_although_data_is_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "--foo", "-o", "json", "--error-format", "text"]) == 2
    assert capsys.readouterr().err.endswith("[INVALID_REQUEST]\n")


def test_days_may_be_negative(commons: list[Any]) -> None:
    assert main(["draft", "shift", "-14", "--area-silo", "Silo 4"]) == 2
    assert main(["draft", "shift", "-2w", "--area-silo", "Silo 4"]) == 2
    assert len(commons) == 2


@pytest.mark.parametrize(
    ("text", "days"),
    [("14", 14), ("+14", 14), ("14d", 14), (" -7D", -7), ("2w", 14), ("-2W", -14)],
)
def test_days_are_typed_as_in_relative_dates(text: str, days: int) -> None:
    assert days_of(text) == days


@pytest.mark.parametrize(
    "text", ["", "d", "1m", "1y", "1.5", "14 d", "--2", "１", "1_0", "9" * 5_000]
)
def test_what_is_no_number_of_days_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        days_of(text)


@pytest.mark.parametrize("org", [[], ["--org", "HOLNG"]], ids=["none", "the same"])
def test_the_delta_file_may_name_the_organization(
    org: list[str], tmp_path: Path, commons: list[Any]
) -> None:
    delta = tmp_path / "delta.json"
    delta.write_text(
        '{"organization":"HOLNG","modifications":[{"pfaId":"A","delta":{"dor":"BEO"}}]}'
    )
    main(["draft", "save", str(delta), *org])
    assert commons[0].org == "HOLNG"


def test_a_delta_file_for_another_organization_than_asked_for_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    delta = tmp_path / "delta.json"
    delta.write_text(
        '{"organization":"HOLNG","modifications":[{"pfaId":"A","delta":{"dor":"BEO"}}]}'
    )
    assert main(["draft", "save", str(delta), "--org", "RIO"]) == 2
    assert "is for organization 'HOLNG', --org is 'RIO'" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_not_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draft", "save", "nowhere.json"]) == 6
    assert capsys.readouterr().err.endswith("[NOT_FOUND]\n")


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("8h", 28_800), ("90d", 7_776_000), ("45s", 45)]
)
def test_lengths_of_time_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "8", "h", "8 h", "-8h", "8w", "1.5h", "99999999999d"])
def test_other_lengths_of_time_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_duration(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list", "--limit", "x"], "invalid --limit: 'x' is not a whole number"),
        (["list", "--limit", "-1"], "invalid --limit: -1 is less than 0"),
        (["list", "--page-size", "0"], "invalid --page-size: 0 is not from 1 to 10000"),
        (["sync", "push", "--rate", "x"], "invalid --rate: 'x' is not a number"),
        (
            ["draft", "shift", "x", "--all"],
            "invalid DAYS: 'x' is not a number of days or weeks: 14, 14d, -2w",
        ),
        (["sandbox", "--port", "x"], "invalid --port: 'x' is not a whole number"),
        (
            ["sync", "push", "--if-locked", "y"],
            "invalid --if-locked: 'y' is not one of 'fail', 'wait', 'skip'",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_s_value_is_refused_in_plain_words(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {message} [INVALID_REQUEST]"


@pytest.mark.slow
def test_no_help_page_names_a_type_of_the_parser(capsys: pytest.CaptureFixture[str]) -> None:
    pages = 0
    for name, one in _commands(typer.main.get_command(app)):
        assert main([*name, "--help"]) == 0
        page = capsys.readouterr().out
        assert not re.search(r"<\w|<=|>=|int range", page), one.name
        pages += 1
    assert pages > 50


@pytest.mark.slow
def test_a_group_lists_every_command_that_it_has() -> None:
    groups = [("pfa", typer.main.get_command(app)), *_groups()]
    assert len(groups) > 10
    unlisted = {}
    for name, one in groups:
        with one.make_context(name, [], resilient_parsing=True) as ctx:
            listed = one.list_commands(ctx)
            for word in listed:  # a group's commands are loaded when they are named
                one.get_command(ctx, word)
            unlisted[name] = {*one.commands, *_registered(one)} - {*listed}
    assert {name: words for name, words in unlisted.items() if words} == {}


def _groups() -> Iterator[tuple[str, Any]]:
    found = _commands(typer.main.get_command(app))
    return ((" ".join(name), one) for name, one in found if hasattr(one, "list_commands"))


def _registered(one: Any) -> set[str]:
    """The commands that modules registered with the app of a group, loaded by it or not."""
    home = getattr(one, "home", None)
    return {str(info.name) for info in home.registered_commands} if home else set()


def _commands(root: Any) -> Iterator[tuple[list[str], Any]]:
    with root.make_context("pfa", [], resilient_parsing=True) as ctx:
        for name in root.list_commands(ctx):
            one = root.get_command(ctx, name)
            yield [name], one
            if hasattr(one, "list_commands"):
                yield from (([name, *more], inner) for more, inner in _commands(one))
