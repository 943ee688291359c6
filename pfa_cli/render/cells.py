"""Width of texts in cells of a terminal.

Computed from the standard library's Unicode tables, so that a pipe needs no other; a terminal is measured by
the library that draws on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

Measure = Callable[[str], int]
_EMOJI = "\ufe0f"  # asks for the wide form of the character before it
_JOINER = "\u200d"
_FLAGS = range(0x1F1E6, 0x1F200)
_TONES = range(0x1F3FB, 0x1F400)


def width(text: str) -> int:
    """Measure a text: wide characters take two cells, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_cluster_width, clusters(text)))


def clusters(text: str) -> Iterator[str]:
    """Split a text into characters, each with its marks and joined ones."""
    if text.isascii():
        yield from text
        return
    cluster = ""
    for character in text:
        if cluster and not _joins(cluster, character):
            yield cluster
            cluster = ""
        cluster += character
    if cluster:
        yield cluster


def padded(text: str, cells: int, measure: Measure = width, *, right: bool = False) -> str:
    """Fill a text with blanks to a width; a longer one stays as it is."""
    blanks = " " * (cells - measure(text))
    return blanks + text if right else text + blanks


def _joins(cluster: str, character: str) -> bool:
    if cluster.endswith(_JOINER) or character == _JOINER or _is_zero_width(character):
        return True
    code = ord(character)
    return code in _TONES or (code in _FLAGS and len(cluster) == 1 and ord(cluster) in _FLAGS)


def _is_zero_width(character: str) -> bool:
    from unicodedata import category

    return category(character) in ("Mn", "Me", "Cf")


def _cluster_width(cluster: str) -> int:
    from unicodedata import east_asian_width

    base = cluster[0]
    if _is_zero_width(base):
        return 0
    wide = east_asian_width(base) in "WF" or _EMOJI in cluster or ord(base) in _FLAGS
    return 2 if wide else 1
