"""The parts of a workbook, checked before they are read.

A workbook is a ZIP archive of XML. It comes from anywhere: what it unpacks to is counted while it is unpacked, a
document type, which could name other files or grow without bound, is refused, and so is a sheet whose cells are
spread over more rows and columns than fit into memory.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NoReturn
from xml.parsers import expat

from pfa_core.errors import InvalidData
from pfa_core.files.dialect import STORED

MAX_PARTS = 2000
MAX_CELLS = 10_000_000  # of the rectangle around them: each takes 24 to 32 bytes
_BLOCK = 1 << 20
_XML = (".xml", ".rels", ".vml")
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships id"


@dataclass(slots=True)
class SheetFacts:
    """What is known of a sheet without its values.

    `errors`: its cells with an error, and what it is. `uncomputed`: its cells with a formula that has no
    value. `rows`, `columns`: the end of its last cell.
    """

    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    uncomputed: set[tuple[int, int]] = field(default_factory=set)
    rows: int = 0
    columns: int = 0


@dataclass(frozen=True, slots=True)
class WorkbookParts:
    """The sheets of a workbook by their names, and whether it counts days from 1904."""

    sheets: Mapping[str, SheetFacts]
    is_1904: bool


def check_workbook(
    file: BinaryIO, name: str, max_size: int, *, kept: str = STORED
) -> WorkbookParts:
    """Check the parts of a workbook, and find what its values do not show.

    Args:
        max_size: Bytes that its parts may have, unpacked, all together.
        kept: What is said of the effect, as in "nothing was stored".

    Raises:
        InvalidData: It is not a workbook, damaged, too large, or has what no workbook needs.
    """
    return _Check(name, max_size, kept).read(file)


class _Check:
    def __init__(self, name: str, max_size: int, kept: str) -> None:
        self._name, self._max_size, self._kept = name, max_size, kept
        self._left = max_size

    def read(self, file: BinaryIO) -> WorkbookParts:
        try:
            with zipfile.ZipFile(file) as archive:
                return self._parts(archive)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,  # a way of packing that zipfile does not know
            RuntimeError,  # packed with a password
            ValueError,  # a part that begins before the file, a name that cannot be read
        ) as error:
            if isinstance(error, RecursionError):
                raise
            self._refuse(f" is a damaged Excel workbook (.xlsx): {error}")

    def _parts(self, archive: zipfile.ZipFile) -> WorkbookParts:
        infos = archive.infolist()
        if len(infos) > MAX_PARTS:
            self._refuse(f" has {len(infos):,} parts; a workbook with sheets has a few")
        names = [info.filename for info in infos]
        if len(set(names)) != len(names):
            self._refuse(" is a damaged Excel workbook (.xlsx): a part is there twice")
        if "xl/workbook.xml" not in names:
            self._refuse(" is a ZIP archive, not an Excel workbook (.xlsx)")
        readers = {info.filename: self._read_part(archive, info) for info in infos}
        book = readers["xl/workbook.xml"]
        relations = readers.get("xl/_rels/workbook.xml.rels") or _Reader()
        sheets: dict[str, SheetFacts] = {}
        for sheet, relation in book.sheets:
            target = relations.relations.get(relation, "").removeprefix("/xl/").removeprefix("xl/")
            found = readers.get(f"xl/{target}")
            if found is not None and found.is_sheet:
                sheets[sheet] = found.facts
        return WorkbookParts(sheets, book.is_1904)

    def _read_part(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Reader:
        """Unpack one part, and parse it where it is XML."""
        reader = _Reader()
        parser = reader.parser() if info.filename.lower().endswith(_XML) else None
        try:
            with archive.open(info) as part:
                while block := part.read(_BLOCK):
                    self._left -= len(block)
                    if self._left < 0:
                        self._refuse(
                            f" has more than {self._max_size:,} bytes, unpacked",
                            "to read it all the same, raise `max_size`",
                        )
                    if parser:
                        parser.Parse(block, False)  # noqa: FBT003 - expat takes positions alone
            if parser:
                parser.Parse(b"", True)  # noqa: FBT003
        except (expat.ExpatError, LookupError) as error:  # the last: an unknown encoding
            self._refuse(f" is a damaged Excel workbook (.xlsx): {info.filename}: {error}")
        except _Refused as refused:
            self._refuse(f": {info.filename} {refused}")
        return reader

    def _refuse(self, reason: str, hint: str = "") -> NoReturn:
        raise InvalidData(f"{self._name}{reason}; {self._kept}", hint=hint)


class _Refused(Exception):
    """What no workbook needs."""


class _Reader:
    """The elements of one part that say something."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, str]] = []
        self.relations: dict[str, str] = {}
        self.is_1904 = self.is_sheet = False
        self.facts = SheetFacts()
        self._root = ""
        self._row = self._column = -1
        self._is_error = self._has_formula = self._has_value = self._in_value = False
        self._text: list[str] = []

    def parser(self) -> Any:
        """Make a parser that tells this reader what it finds."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._begin
        return self._with_values(parser)

    def _with_values(self, parser: Any) -> Any:
        self._parser = parser
        return parser

    def _doctype(self, *_: object) -> NoReturn:
        raise _Refused("has a document type, which no workbook needs")

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        if not self._root:
            self._root = local
            self.is_sheet = local == "worksheet"
            if self.is_sheet:
                self._parser.EndElementHandler = self._end
        if self.is_sheet:
            self._in_sheet(local, attributes)
        elif local == "sheet" and self._root == "workbook":
            self.sheets.append((attributes.get("name", ""), attributes.get(_RELATION, "")))
        elif local == "workbookPr":
            self.is_1904 = attributes.get("date1904", "") in ("1", "true")
        elif local == "Relationship":
            self.relations[attributes.get("Id", "")] = attributes.get("Target", "")

    def _in_sheet(self, local: str, attributes: dict[str, str]) -> None:
        if local == "c":
            self._begin_cell(attributes)
        elif local == "row":
            self._row = _whole(attributes.get("r"), self._row + 2) - 1
            self._column = -1
        elif local == "f":
            self._has_formula = True
        elif local == "v":
            self._has_value = True
            if self._is_error:
                self._parser.CharacterDataHandler = self._text.append

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        self._is_error = attributes.get("t") == "e"
        self._has_formula = self._has_value = False
        self._text.clear()
        self._column += 1
        if (place := attributes.get("r")) is not None:
            letters = place.rstrip("0123456789")
            self._column = _column(letters)
            self._row = _whole(place[len(letters) :], 0) - 1
        facts = self.facts
        if self._row >= facts.rows or self._column >= facts.columns:
            facts.rows = max(facts.rows, self._row + 1)
            facts.columns = max(facts.columns, self._column + 1)
            if facts.rows * facts.columns > MAX_CELLS:
                raise _Refused(
                    f"has cells up to row {facts.rows:,} and column {facts.columns:,}; the rectangle around"
                    f" them may have {MAX_CELLS:,}"
                )

    def _end(self, name: str) -> None:
        local = name.rpartition(" ")[2]
        if local == "v":
            self._parser.CharacterDataHandler = None
        elif local == "c" and (self._is_error or self._has_formula):
            place = (self._row, self._column)
            if self._is_error:
                self.facts.errors[place] = "".join(self._text) or "#ERROR"
            elif not self._has_value:
                self.facts.uncomputed.add(place)


def _whole(text: str | None, other: int) -> int:
    if text is None:
        return other
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise _Refused(f"has the row {text[:20]!r}")
    return int(text)


def _column(letters: str) -> int:
    if not (0 < len(letters) <= 3 and letters.isascii() and letters.isalpha()):
        raise _Refused(f"has the column {letters[:20]!r}")
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
