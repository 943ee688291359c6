"""Opening what a user names: plain, gzip, standard input; always UTF-8."""

from __future__ import annotations

import gzip
import io
import os
import random
import sys
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.errors import InvalidData, InvalidRequest, IoFailure, NotFound
from pfa_core.files.baseline import read_baseline
from pfa_core.files.deltas import read_delta_file
from pfa_core.files.packed import PackedChanges, packed
from pfa_core.files.reading import decode, open_input, read_text, source_name
from pfa_core.model.delta import Change

TEXT = "pfaId\nMüller 😀\n"
BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "content",
    [TEXT.encode(), gzip.compress(TEXT.encode()), BOM + TEXT.encode(), gzip.compress(BOM + TEXT.encode())],
    ids=["plain", "gzip", "plain with a mark", "gzip with a mark"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "ä b"])
def test_a_file_is_read_whatever_its_name_zipped_or_not(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert read_text(str(path)) == TEXT


@pytest.mark.parametrize("content", [TEXT.encode(), gzip.compress(TEXT.encode(), mtime=0)])
def test_a_dash_is_standard_input(content):
    assert read_text("-", io.BytesIO(content)) == TEXT


def test_a_dash_without_another_stream_is_the_process_s_own(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert read_text("-") == TEXT


def test_an_empty_file_is_an_empty_text(tmp_path):
    path = tmp_path / "empty"
    path.touch()
    assert read_text(str(path)) == ""
    assert read_text("-", io.BytesIO(b"")) == ""


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFound, match=r"gone\.json"):
        read_text(str(tmp_path / "gone.json"))


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(IoFailure, match="cannot be read"):
        read_text(str(tmp_path))


def test_a_name_with_a_nul_is_no_file_name():
    with pytest.raises(IoFailure, match="not a file name"):
        read_text("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_cannot_be_read(tmp_path):
    path = tmp_path / "closed"
    path.touch(0)
    with pytest.raises(IoFailure):
        read_text(str(path))


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(TEXT.encode())[:-9],
        gzip.compress(TEXT.encode())[:12],
        b"\x1f\x8b",
        b"\x1f\x8bnot at all",
        gzip.compress(TEXT.encode())[:-8] + b"\0" * 8,
        gzip.compress(b"x" * 10_000)[:15] + b"\xff" * 10,
    ],
    ids=["cut off", "almost only a head", "two bytes", "no gzip", "wrong checksum", "wrong inside"],
)
def test_a_broken_gzip_says_so(tmp_path, content):
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    with pytest.raises(IoFailure, match="damaged gzip"):
        read_text(str(path))


def test_another_stream_s_fault_is_not_blamed_on_the_file(tmp_path):
    path = tmp_path / "a"
    path.touch()
    with pytest.raises(ValueError, match="of the block's own"), open_input(str(path)):
        raise ValueError("of the block's own")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"M\xfcller", "line 1 column 2"),
        (b"a\nbc\n de\xe9f\n", "line 3 column 4"),
        (b"a\r\n\xff", "line 2 column 1"),
        (b"abc\xc3", "line 1 column 4"),
        (b"\xed\xa0\x80", "line 1 column 1"),
        (b"\xc0\x80", "line 1 column 1"),
    ],
    ids=["latin-1", "in the third line", "after CRLF", "cut off", "a surrogate", "overlong"],
)
def test_text_that_is_not_utf8_is_refused_with_its_place(tmp_path, content, place):
    path = tmp_path / "latin.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidData, match=f"latin.csv is not UTF-8: {place}") as caught:
        read_text(str(path))
    assert "iconv" in caught.value.hint


def test_a_byte_order_mark_does_not_shift_the_place():
    with pytest.raises(InvalidData, match="line 2 column 1"):
        decode(BOM + b"ab\n\xff", "x")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_recognized_by_its_mark(encoding):
    marks = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
    with pytest.raises(InvalidData, match="looks like UTF-16"):
        decode(marks.get(encoding, b"") + TEXT.encode(encoding), "x")


def test_a_line_of_its_own_tells_its_number_and_only_the_first_may_bear_a_mark():
    with pytest.raises(InvalidData, match="line 7 column 3"):
        decode(b"ab\xff", "x", 7)
    assert decode(BOM + b"a", "x", 1) == "a"
    assert decode(BOM + b"a", "x", 2) == "\ufeffa"


@given(st.text())
def test_any_text_comes_back_from_its_bytes(text):
    assert decode(text.encode(), "x") == text.removeprefix("\ufeff")


def test_messages_call_standard_input_by_its_name():
    assert source_name("-") == "standard input"
    assert source_name("a/b.json") == "a/b.json"


# --- the longest line and document -----------------------------------------------------------------

BOMB = gzip.compress(b"[" + b"0," * (1 << 20) + b"0]")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_document_above_the_limit_is_refused_and_one_at_it_is_read(tmp_path, zipped):
    record = b'[{"pfaId": "P-1"}]'
    path = tmp_path / "a.json"
    path.write_bytes(gzip.compress(record) if zipped else record)
    assert len(list(read_baseline(str(path), max_size=len(record)))) == 1
    with pytest.raises(InvalidData, match="has more than 17 bytes; nothing was stored") as refused:
        list(read_baseline(str(path), max_size=len(record) - 1))
    assert "`max_size`" in refused.value.hint


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv"])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_line_above_the_limit_is_refused_with_its_number(tmp_path, name, zipped):
    table = not name.endswith("jsonl")
    lines = [b"pfaId", b"P-1", b"P-2"] if table else [b'{"pfaId":"P-%d"}' % n for n in (0, 1, 2)]
    longest = max(map(len, lines)) + 1
    content = b"\n".join(lines) + b"\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if zipped else content)
    assert len(list(read_baseline(str(path), max_size=longest))) == 3 - table
    lines[2] += b" " * 20
    content = b"\n".join(lines) + b"\n"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(InvalidData, match=rf"{name} line 3 has more than {longest} bytes"):
        list(read_baseline(str(path), max_size=longest))


def test_a_small_gzip_of_a_large_document_is_refused_without_being_unpacked(tmp_path):
    assert len(BOMB) < 10_000
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(BOMB)
    for read in (read_baseline, read_delta_file):
        tracemalloc.start()
        try:
            with pytest.raises(InvalidData, match="has more than 64 KiB"):
                list(read(str(path), max_size=1 << 16))
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


def test_a_delta_file_has_the_limit_too(tmp_path):
    text = b'{"pfaId":"P-1","delta":{"model":"A"}}'
    path = tmp_path / "delta.json"
    path.write_bytes(text)
    assert len(read_delta_file(str(path), max_size=len(text)).changes) == 1
    with pytest.raises(InvalidData, match="has more than 36 bytes; nothing was saved"):
        read_delta_file(str(path), max_size=len(text) - 1)
    with pytest.raises(InvalidData, match="1 KiB"):
        read_delta_file("-", stdin=io.BytesIO(b" " * 1025), max_size=1024)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.jsonl", [b'{"pfaId":"P-%d","delta":{"model":"A"}}' % n for n in range(4)]),
        ("a.csv", [b"pfaId,model", *(b"P-%d,A" % n for n in range(3))]),
        ("a.tsv", [b"pfaId\tmodel", *(b"P-%d\tA" % n for n in range(3))]),
    ],
)
def test_of_a_delta_file_in_lines_each_line_has_the_limit(tmp_path, name, lines):
    longest = max(map(len, lines)) + 1
    path = tmp_path / name
    path.write_bytes(b"\n".join(lines) + b"\n")
    found = read_delta_file(str(path), max_size=longest)
    assert len(found.changes) == len(lines) - (not name.endswith("jsonl"))
    lines[2] += b" " * longest
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(
        InvalidData, match=rf"line 3 has more than {longest} bytes; nothing was saved"
    ):
        read_delta_file(str(path), max_size=longest)


@pytest.mark.parametrize("read", [read_baseline, read_delta_file])
def test_a_limit_of_nothing_is_no_limit(read):
    with pytest.raises(InvalidRequest, match="at least 1 byte"):
        list(read("-", max_size=0))


def change(number: int) -> Change:
    return Change(
        f"P-{number}",
        {"monthlyRate": Decimal(number) / 8, "model": None},
        position=f"line {number}",
        expected_version=number % 3 or None,
        read_only={"pfaId": f"P-{number}"} if number % 2 else {},
        listed_version=number % 4 or None,
    )


@pytest.mark.parametrize("number", [0, 1, 1999, 2000, 2001, 2345])
def test_packed_changes_are_the_changes(number, monkeypatch):
    monkeypatch.setattr("pfa_core.files.packed._MANY", 2000)
    changes = [change(place) for place in range(number)]
    kept = packed(iter(changes))
    assert isinstance(kept, PackedChanges) is (number >= 2000)
    assert len(kept) == number
    assert list(kept) == list(kept) == changes
    assert bool(kept) is bool(changes)
    if changes:
        assert (kept[0], kept[-1], kept[number // 2]) == (
            changes[0],
            changes[-1],
            changes[number // 2],
        )
        assert list(kept[3:5]) == changes[3:5]
    for place in (number, -number - 1):
        with pytest.raises(IndexError):
            kept[place]


def test_large_changes_are_packed_however_few_and_beyond_a_limit_in_a_file(monkeypatch):
    monkeypatch.setattr("pfa_core.files.packed._KEPT_BYTES", 10_000)
    monkeypatch.setattr("pfa_core.files.packed._CHARACTERS", 2500)
    texts = [random.Random(n).randbytes(500).hex() for n in range(41)]
    changes = [Change(f"P-{n}", {"equipment": text}) for n, text in enumerate(texts)]
    kept = packed(iter(changes))
    assert isinstance(kept, PackedChanges)
    assert kept._file._rolled
    assert list(kept) == list(kept) == changes
    assert [kept[place] for place in range(-41, 41)] == changes * 2
    assert isinstance(packed(iter(changes[:2])), tuple)
