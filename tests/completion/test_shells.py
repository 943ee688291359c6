"""The shells' own completion: what is typed with a tab reaches the program as the value that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.completion import shells
from tests.completion.conftest import AWKWARD

pytestmark = pytest.mark.usefixtures("kept")
GEN = AWKWARD[1]
# What is typed, and the arguments that the command gets; the same in bash and zsh.
TYPED = {
    "pfa li\t": ["list"],
    "pfa dr\tsh\t": ["draft", "shift"],
    "pfa list --cat\tCr\t": ["list", "--category", "Crane Big"],
    "pfa list --category cr\t": ["list", "--category", "Crane Big"],
    "pfa list --category Ge\t": ["list", "--category", GEN],
    'pfa list --category "Ge\t': ["list", "--category", GEN],
    "pfa list --category 'Ge\t": ["list", "--category", GEN],
    'pfa list --category "Gen: 5 \\$\t': ["list", "--category", GEN],
    "pfa list --category Gen\\:\\ 5\t": ["list", "--category", GEN],
    "pfa list --category Gen:\t": ["list", "--category", GEN],
    "pfa list --category=Ge\t": ["list", f"--category={GEN}"],
    'pfa list --category="Ge\t': ["list", f"--category={GEN}"],
    "pfa list --category=Gen:\t": ["list", f"--category={GEN}"],
    "pfa list --category Ö\t": ["list", "--category", "Öl & Gas"],
    "pfa list --category a\\*\t": ["list", "--category", "a*b?[c]"],
    "pfa list --category x\t": ["list", "--category", "x=y"],
    "pfa list --category sem\t": ["list", "--category", "semi;colon!"],
    'pfa list --category "sem\t': ["list", "--category", "semi;colon!"],
    "pfa list --category ba\t": ["list", "--category", "back\\slash"],
    "pfa list --category \\~t\t": ["list", "--category", "~tilde"],
    "pfa list --category ev\t": ["list", "--category", "ev"],
    "pfa list --area-silo Si\t5": ["list", "--area-silo", "Silo 5"],
    "pfa list -o cs\t--sort -monthlyR\t": ["list", "-o", "csv", "--sort", "-monthlyRate"],
    "pfa list --columns pfaId,sour\t": ["list", "--columns", "pfaId,source"],
    "pfa draft set HO\tareaS\tSil\t4": ["draft", "set", "HOLNG-000123", "areaSilo=Silo 4"],
    "pfa draft set HO\tsource=P\t": ["draft", "set", "HOLNG-000123", "source=Purchase"],
    "pfa --org HOLNG -q list --sta\tte dr\t": [
        "--org", "HOLNG", "-q", "list", "--state", "draft",
    ],
    "pfa sync pull --from mirr\t": ["sync", "pull", "--from", "mirror one.csv"],
    "pfa sync pull --from=mirr\t": ["sync", "pull", "--from=mirror one.csv"],
    "pfa nonsense --cate\t X": ["nonsense", "--cate", "X"],
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_tab_completes_to_the_value_that_the_program_gets(shell: str, tmp_path: Path) -> None:
    shells.needs(shell)
    (tmp_path / "mirror one.csv").touch()
    found = shells.typed(shell, list(TYPED), tmp_path)
    assert dict(zip(TYPED, found, strict=True)) == TYPED


def test_bash_completes_behind_assignments_and_in_a_pipe(tmp_path: Path) -> None:
    lines = [
        "PFA_ORG=HOLNG pfa li\t",
        "true | pfa list --area-silo=Silo\\ \t4",
        "true; pfa stat\tu\t",
    ]
    assert shells.typed("bash", lines, tmp_path) == [
        ["list"],
        ["list", "--area-silo=Silo 4"],
        ["status"],
    ]


@pytest.mark.variants(3)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pfa li", ["list"]),
        ("pfa list --category ", sorted(AWKWARD)),
        ('pfa list --category "Gen: 5 ', [GEN]),
        ("pfa list --category=Ge", [f"--category={GEN}"]),
        ("pfa draft set HOLNG-000123 areaSilo=Silo\\ ", ["areaSilo=Silo 4", "areaSilo=Silo 5"]),
        ("pfa sync pull --from mirr", ["mirror one.csv"]),
        ("pfa sync pull --from=mirr", ["--from=mirror one.csv"]),
        ("pfa list --columns pfaId,sour", ["pfaId,source"]),
        ("pfa list --start-from ", []),
    ],
)
def test_fish_offers_the_values_themselves(line: str, expected: list[str], tmp_path: Path) -> None:
    shells.needs("fish")
    (tmp_path / "mirror one.csv").touch()
    assert sorted(shells.fish(line, tmp_path)) == sorted(expected)


def test_fish_shows_what_a_command_does(tmp_path: Path) -> None:
    shells.needs("fish")
    rows = shells.fish("pfa stat", tmp_path, described=True)
    assert "stats\tSum counts and costs: plan, forecast, actual, variance, your changes." in rows


@pytest.mark.variants(1)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_nothing_of_the_shell_s_own_is_offered_where_a_value_is_free(
    shell: str, tmp_path: Path
) -> None:
    shells.needs(shell)
    (tmp_path / "mirror.csv").touch()
    assert shells.typed(shell, ["pfa list --start-from mir\t"], tmp_path) == [
        ["list", "--start-from", "mir"]
    ]
