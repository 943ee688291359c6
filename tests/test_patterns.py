"""Regular expressions over data take time in proportion to its length."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import pfa_cli
import pfa_core
from pfa_core.masking import Mask
from pfa_core.model.secret import masked
from tests.forms import forms, many
from tests.sources import ROOTS, parsed

LENGTH = 100_000
# A pattern that tries each place of a text anew takes seconds for it, a linear one some milliseconds.
LONGEST = 0.5  # seconds for so long a text, less for a shorter one
_USES = ("match", "fullmatch", "search", "sub", "split", "finditer", "findall")
_ATOMS = (
    *"a1 \t'\"-.[{\\:,\n\r_=A+0é`/",
    "\x00", "eyJ", "eyJa.", "\\x41", "\\ud800", "a1", "1.", "1,", ".1", " a", "a ", "'\n", "\n'", "\n=",
    "`a", "[a", '"a', "a=", "1E", "\r\n", "\u2028", "\ud800", "--", "invalid ", "invalid a",
)  # fmt: skip
_HEADS = ("", "2024-01-01T", "2024-01-01", "-1", "eyJa.", '{"alg":', "1", "`a=")
_TAILS = ("", "!", "\x00")
_ENDS = [*((head, "x") for head in _HEADS), *(("", tail) for tail in _TAILS)]

# How each pattern is used, with the inputs that would be its worst beside the general ones.
PATTERNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "pfa_core.access.names._CODE": ("fullmatch", ()),
    "pfa_core.access.names._TEXT": ("fullmatch", ()),
    "pfa_core.access.names._USER": ("fullmatch", ()),
    "pfa_core.access.organization_settings._CURRENCY": ("fullmatch", ()),
    "pfa_core.access.tokens.jwt._ADDED": ("match", ("authorization:" + " " * LENGTH,)),
    "pfa_core.access.tokens.keyring._OLDER": ("fullmatch", ("2026-11-26T04:00:00Z " * 5000,)),
    "pfa_core.admin.login_roles._NAME": ("fullmatch", ()),
    "pfa_core.audit.verify._ANCHOR": ("fullmatch", ("1:" + "a" * LENGTH,)),
    "pfa_core.config.addresses._PASSWORD": (
        "sub",
        ("password='" * 10_000, "password" + " " * LENGTH, "password='" + "\\" * LENGTH),
    ),
    "pfa_core.config.pems_source._HEADER_TEXT": ("fullmatch", ("a" + " " * LENGTH, "a " * 50_000)),
    "pfa_core.config.profiles._NAME": ("fullmatch", ()),
    "pfa_core.drafts.save_faults._LAST_NUMBER": ("search", ("1" * LENGTH + "x", "1x" * 50_000)),
    "pfa_core.exact_json._EXPONENT": ("search", ("1E+" * 33_000,)),
    "pfa_core.files.descriptors._NUMBERED": ("fullmatch", ("/dev/fd/" + "1" * LENGTH,)),
    "pfa_core.files.dialect._LINE": ("findall", ("a\r" * 50_000,)),
    "pfa_core.files.dialect._ESCAPE": ("sub", ("\\x4" * 30_000, "\\x41" * 25_000 + "\\x")),
    "pfa_core.masking._DIGIT": ("search", ()),
    "pfa_core.masking._MOMENT": ("fullmatch", ("2024-01-01T" + "." * LENGTH + "x",)),
    "pfa_core.masking._WORD": ("sub", ("a" * LENGTH, "a " * 50_000)),
    "pfa_core.transfer.rows._AROUND": ("match", ()),
    "pfa_core.transfer.rows._COPY": (
        "fullmatch",
        ("COPY " + "a." * 50_000, "COPY " + "a" * LENGTH, "COPY a (" + "b, " * 33_000),
    ),
    "pfa_core.transfer.programs._VERSION": ("search", ("(PostgreSQL) " * 10_000,)),
    "pfa_core.store.embedded.crowding._LIMITED": (
        "search",
        (
            'too many connections for role "' * 3_000,
            'too many connections for role "' + "a" * LENGTH,
        ),
    ),
    "pfa_core.store.embedded.layout._DATA": ("fullmatch", ("pgdata-" + "1" * LENGTH + "x",)),
    "pfa_core.store.embedded.layout._KEPT": ("fullmatch", ("pgdata-1-kept-" + "1" * LENGTH + "x",)),
    "pfa_core.store.written._LINE": ("fullmatch", ("1" * LENGTH, "1 " + "F" * LENGTH)),
    "pfa_core.model.change_order._AMOUNT": ("fullmatch", ("1" * LENGTH,)),
    "pfa_core.model.cursor._ANY": ("fullmatch", ()),
    "pfa_core.access.organization_settings._NUMBER": (
        "fullmatch",
        ("1" * LENGTH, "1." + "1" * LENGTH),
    ),
    "pfa_core.model.cursor._PLACES": ("fullmatch", ("1" * LENGTH,)),
    "pfa_core.model.formulas._FORMULA": ("match", ("'" * LENGTH,)),
    "pfa_core.model.formulas._FORMULA_LINES": ("sub", ("\n" + "'" * LENGTH, "\n'" * 50_000)),
    "pfa_core.model.formulas._GUARDED_LINES": ("sub", ("\n" + "'" * LENGTH, "\n'" * 50_000)),
    "pfa_core.model.formulas._GUARDS": ("sub", ("\n" + "'" * LENGTH, "\n'" * 50_000)),
    "pfa_core.model.formulas._LOOKS_GUARDED": ("match", ("'" * LENGTH,)),
    "pfa_core.model.formulas._NUMBER": ("fullmatch", ("-" + "1" * LENGTH + ".",)),
    "pfa_core.model.periods._FORM": ("fullmatch", ("2026-" + "1" * LENGTH,)),
    "pfa_core.model.notation._DAY": ("fullmatch", ("1/1/1 00:00:00." + "0" * LENGTH, "1" * LENGTH)),
    "pfa_core.model.notation._GROUPED": (
        "fullmatch",
        ("1" + ",111" * 25_000 + "x", "1,111." + "1" * LENGTH + "x", "1" * LENGTH),
    ),
    "pfa_core.model.notation._PLAIN": ("fullmatch", ("1" * LENGTH, "1." + "1" * LENGTH + "x")),
    "pfa_core.model.notation._SERIAL": ("fullmatch", ("1." + "0" * LENGTH + "x",)),
    "pfa_core.model.relative._AMOUNT": ("fullmatch", ("+" + "1" * LENGTH, "+1." + "1" * LENGTH)),
    "pfa_core.model.relative._SPAN": ("fullmatch", ("+" + "1" * LENGTH,)),
    "pfa_core.model.secret._CONTROL": ("search", ()),
    "pfa_core.model.secret._RUN": ("sub", ("eyJ" * 33_000, "eyJa.a" * 16_000)),
    "pfa_core.model.secret._TOKEN": ("match", ("eyJ" * 33_000,)),
    "pfa_core.model.spelling._JOINTS": ("sub", ()),
    "pfa_core.model.token_format._BRACKET": ("search", ()),
    "pfa_core.model.token_format._HALF": ("search", ()),
    "pfa_core.model.token_format._HEADER": (
        "fullmatch",
        ('{"alg":"a"' + " " * LENGTH, '{"alg":"a",' * 9_000, " " * LENGTH),
    ),
    "pfa_core.model.token_format._INNERMOST": ("sub", ("[" + "a" * LENGTH, "[a" * 50_000)),
    "pfa_core.model.token_format._ODD": ("search", ("1" * 15 + "a1" * 40_000,)),
    "pfa_core.model.token_format._PAIR": ("sub", ("\\ud83d" * 16_000,)),
    "pfa_core.model.token_format._SHAPE": ("fullmatch", ("a." * 50_000,)),
    "pfa_core.model.token_format._STRING": ("sub", ('"' + "a" * LENGTH,)),
    "pfa_core.model.values._DATE": ("fullmatch", ("2024-01-01T00:00:00." + "0" * LENGTH,)),
    "pfa_core.model.values._PLAIN_NUMBER": ("fullmatch", ()),
    "pfa_core.model.values._SEPARATED": (
        "fullmatch",
        ("1" + ".1" * 50_000 + "x", "1." + "1" * LENGTH + "x", "1" + "." * LENGTH),
    ),
    "pfa_core.pems.http.headers._HEADER_TEXT": ("fullmatch", ("a" + " " * LENGTH, "a " * 50_000)),
    "pfa_core.pems.mapping.date_formats._TOKENS": ("finditer", ()),
    "pfa_core.pems.mapping.date_transforms._DAYS": ("match", ()),
    "pfa_core.pems.mapping.transforms._NUMBER": ("fullmatch", (" " * LENGTH + "x",)),
    "pfa_core.pems.sandbox.faults._DURATION": ("fullmatch", ("1" * LENGTH + ".",)),
    "pfa_core.pems.sandbox.faults._PROBABILITY": ("fullmatch", ()),
    "pfa_core.pems.services.rest._VERSION": ("fullmatch", ()),
    "pfa_core.pems.services.screen_values._OFFSET": ("fullmatch", ()),
    "pfa_core.pems.services.screen_values._WHOLE": ("fullmatch", ()),
    "pfa_core.store.errors._BAD_WORD": ("search", ("invalid " + "a" * LENGTH, "invalid a " * 9000)),
    "pfa_core.store.reads.search._PAIR": ("search", ("a-" * 50_000,)),
    "pfa_core.store.reads.filters._INDEXED": ("search", ("aa-" * 33_000,)),
    "pfa_core.sync.run_log._BARE": ("fullmatch", ()),
    "pfa_core.sync.run_log._UNUSUAL": ("sub", ()),
    "pfa_cli.framework.durations._DURATION": ("fullmatch", ()),
    "pfa_cli.commands.status._REQUIRED": ("match", ()),
    "pfa_cli.framework.help._AT_LEAST": ("sub", ("x>=1" * 25_000, "x>=" + "1" * LENGTH)),
    "pfa_cli.commands.drafts.shift._DAYS": ("fullmatch", ("1" * LENGTH + "x",)),
    "pfa_cli.framework.help._ITS_NAME": ("match", ("pfa" + " a" * 50_000 + "A",)),
    "pfa_cli.framework.help._BETWEEN": ("sub", ("1<=x<=" * 16_000, "1<=x<=" + "1" * LENGTH)),
    "pfa_cli.framework.moments._DAY": ("fullmatch", ()),
    "pfa_cli.framework.numbers._NEGATIVE": ("fullmatch", ()),
    "pfa_cli.framework.sizes._SIZE": ("fullmatch", ()),
    "pfa_cli.glossary.lookup._BETWEEN": ("sub", (" " * LENGTH, "a-" * 50_000)),
    "pfa_cli.parameters._PARAMETER": ("sub", ("`a=" + "b" * LENGTH, "`a" * 50_000)),
    "pfa_cli.render.drawn._INSTANT": ("sub", ("2026-01-01T00:00:00." + "0" * LENGTH,)),
    "pfa_cli.render.escape._CONTROLS": ("sub", ()),
    "pfa_cli.render.folding.ATOM": (
        "findall finditer",
        ("1T:" * 33_000, "1:" * 50_000 + "x", "1/" * 50_000),
    ),
    "pfa_cli.render.folding._HUMPS": ("split", ("aA" * 50_000,)),
    "pfa_cli.render.folding._SEAMS": ("split", ("a/" * 50_000,)),
    "pfa_cli.render.indent._TOKEN": (
        "findall",
        ('"' + "\\" * 50_000, '"a' * 50_000, '"\\a' * 30_000),
    ),
    "pfa_cli.render.streams._STYLES": ("sub", ("\x1b[" + "1;" * 50_000,)),
    "pfa_cli.render.usage._OF_OPTION": (
        "fullmatch",
        ("Invalid value for " + "a" * LENGTH, "Invalid value for 'a'" + " / 'a'" * 16_000),
    ),
    "pfa_core.files.trail._QUOTED": ("search", ("a" * LENGTH,)),
    "pfa_core.files.trail._RESTORES": ("fullmatch", ("restores entry " + "0" * LENGTH,)),
    "pfa_cli.render.usage._WORDS": (
        "sub",
        ("is not in the range " + "1<=x<=" * 16_000, "is not in the range " + "1" * LENGTH),
    ),
    "pfa_cli.render.usage._EXTRA": ("match", ("unexpected extra argument (" * 4_000,)),
}
# Over files of the package alone.
OWN_FILES = ("pfa_core.sql.", "pfa_core.store.prerelease.")
# Patterns that are made where they are used: of a setting of the installation (a format, a transform) or over
# what another program of the machine says.
MADE_IN_PLACE = {
    "pfa_cli/render/folding.py": 1,  # a split at one of its named patterns
    "pfa_core/config/pems.py": 2,  # a URL of the configuration, one class of characters; a zone
    "pfa_core/config/shape.py": 1,  # a zone
    "pfa_core/files/beside.py": 1,  # names in a directory, each of a bounded length
    "pfa_core/pems/mapping/date_formats.py": 1,  # a date's parts, each of a fixed length
    "pfa_core/pems/mapping/transforms.py": 1,  # the pattern of a field map
    "pfa_core/sql/composition.py": 1,
    "pfa_core/sql/script.py": 1,
    "pfa_core/pems/services/answers.py": 1,  # a bounded number of digits
    "pfa_core/store/embedded/binaries.py": 1,
    "pfa_core/store/embedded/layout.py": 1,
    "pfa_core/store/embedded/process.py": 1,
    "pfa_core/store/errors.py": 1,
}


def _modules() -> Iterator[Any]:
    for package in (pfa_core, pfa_cli):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def _within(value: Any) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _within(item)
    elif isinstance(value, (tuple, list, set, frozenset)):
        for item in value:
            yield from _within(item)


def _patterns() -> dict[str, list[re.Pattern[str]]]:
    """Collect the patterns of each name, once where it is imported elsewhere."""
    found: dict[str, list[re.Pattern[str]]] = {}
    for module in _modules():
        source = Path(module.__file__).read_text() if module.__file__ else ""
        for name, value in vars(module).items():
            patterns = [] if name.startswith("__") else list(_within(value))
            if patterns and re.search(rf"^{name}\b.*=", source, re.MULTILINE):
                found[f"{module.__name__}.{name}"] = patterns
    return found


def _texts(ends: Iterable[tuple[str, str]], length: int) -> Iterator[str]:
    for head, tail in ends:
        for atom in _ATOMS:
            yield head + (atom * length)[:length] + tail


def _seconds(use: Callable[[], Any]) -> float:
    begun = time.process_time()
    use()
    return time.process_time() - begun


def _use(pattern: re.Pattern[str], use: str, text: str) -> Callable[[], Any]:
    if use == "sub":
        return lambda: pattern.sub("", text)
    if use == "finditer":
        return lambda: sum(1 for _ in pattern.finditer(text))
    return lambda: getattr(pattern, use)(text)


class TestTable:
    def test_every_pattern_of_the_program_is_in_the_table(self) -> None:
        found = {name for name in _patterns() if not name.startswith(OWN_FILES)}
        assert found == set(PATTERNS)

    def test_no_pattern_is_used_otherwise_than_the_table_says(self) -> None:
        used: dict[str, set[str]] = {}
        for path, tree in parsed():
            module = ".".join(path.relative_to(ROOTS[0].parent).parts)
            module = module.removesuffix(".py").removesuffix(".__init__")
            for node in ast.walk(tree):
                match node:
                    case ast.Attribute(value=ast.Name(id=name), attr=use) if use in _USES:
                        if f"{module}.{name}" in PATTERNS:
                            used.setdefault(f"{module}.{name}", set()).add(use)
        assert {name: set(PATTERNS[name][0].split()) for name in used} == used

    def test_a_pattern_that_has_no_name_is_one_of_the_few_that_are_known(self) -> None:
        found: dict[str, int] = {}
        for path, tree in parsed():
            named = {
                id(call)
                for statement in tree.body
                if isinstance(statement, (ast.Assign, ast.AnnAssign))
                for call in ast.walk(statement)
            }
            for node in ast.walk(tree):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=name)):
                        if name in (*_USES, "compile") and id(node) not in named:
                            place = str(path.relative_to(ROOTS[0].parent))
                            found[place] = found.get(place, 0) + 1
        assert found == MADE_IN_PLACE


@pytest.mark.variants(30)
@forms(("ends", "length"), short=([("", "x")], LENGTH), long=(_ENDS, many(LENGTH // 4, LENGTH)))
@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_takes_time_in_proportion_to_the_text(
    name: str, ends: Sequence[tuple[str, str]], length: int
) -> None:
    (use, *_), worst = PATTERNS[name][0].split(), PATTERNS[name][1]
    for pattern in _patterns_by_name[name]:
        for text in (*worst, *_texts(ends, length)):
            most = LONGEST * max(len(text), length) / LENGTH
            assert _seconds(_use(pattern, use, text)) < most, (name, text[:40], text[-10:])


@pytest.mark.long
def test_the_measure_finds_a_pattern_that_tries_each_place() -> None:
    quadratic = re.compile(r"[^\s]*\d[^\s]*")
    assert _seconds(_use(quadratic, "sub", "a" * 12_000)) > LONGEST


@pytest.mark.parametrize(
    "text",
    [
        "a" * LENGTH,
        "a1" * 50_000,
        "2024-01-01T" + ":." * 50_000 + "x",
        ":" * LENGTH + "2024-01-01",
        "a " * 50_000,
    ],
    ids=["a word", "with digits", "almost a moment", "before a day", "words"],
)
def test_the_mask_takes_time_in_proportion_to_the_text(text: str) -> None:
    assert _seconds(lambda: Mask(hides=True).text(text)) < LONGEST


@pytest.mark.parametrize(
    "text",
    [
        "eyJ" * 33_000,
        "eyJa." * 20_000,
        "eyJ.a." * 16_000,
        "eyJa.b.c" * 12_000,
        "." * LENGTH + "eyJ",
    ],
)
def test_the_search_for_tokens_takes_time_in_proportion_to_the_text(text: str) -> None:
    assert _seconds(lambda: masked(text)) < LONGEST


@pytest.mark.parametrize(
    "text",
    [
        "a eyJhbGci.eyJzdWI.sig b", "eyJa.b.", "eyJa.b.c", "eyJa.b", "eyJ.b.c", "eyJa..c", "xeyJa.b.c.d",
        "eyJa.eyJb.c.eyJd.e.f", "eyJa.b.c eyJd.e.f", "eyJeyJ.a.b", "a.b.eyJ.eyJc.d.e", "eyJa.b.c.", "--eyJ-._.",
        ".eyJa.b.c", "eyJa.b.eyJc.d.e", "eyJ", "eyJa", "", "eyJa.b.c/eyJd.e.f", "eyJa b.c.d",
    ],
)  # fmt: skip
def test_what_is_searched_linearly_is_what_the_pattern_says(text: str) -> None:
    said = re.sub(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", "eyJ…", text)
    assert masked(text) == said


_patterns_by_name = _patterns()
