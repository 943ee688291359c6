"""The format of a token: one spelling, plain JSON.

The database's verifier has the same rules in SQL (pfa_token_header, pfa_token_payload and
pfa_token_is_valid), and a property test compares both. Two JSON parsers agree on plain documents only:
what one of them alone would accept is refused here first.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

MAX_LENGTH = 262_144
DEEPEST = 8
# The last second that a datetime can hold.
LAST_SECOND = 253_402_300_799

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_SPACE = r"[ \t\n\r]*"
_WORD = rf'{_SPACE}"(?:alg|typ|kid)"{_SPACE}:{_SPACE}"[A-Za-z0-9_-]+"{_SPACE}'
_HEADER = re.compile(rf"{_SPACE}\{{{_WORD}(?:,{_WORD})*\}}{_SPACE}")
_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_STRING = re.compile(r'"[^"]*"')
# Fractions, exponents, more digits than a float distinguishes, and anything that is not JSON.
_ODD = re.compile(r'[^\]\[{}:,"a-z0-9 \t\n\r-]|[0-9]e|[0-9]{16}')
_INNERMOST = re.compile(r"[\[{][^\]\[{}]*[\]}]")
_BRACKET = re.compile(r"[\]\[{}]")


def split(token: str) -> tuple[bytes, bytes, bytes]:
    """Split a token into the bytes of header, payload and signature.

    Raises:
        ValueError: Not three parts of base64url without padding, each in its canonical spelling.
    """
    if len(token) > MAX_LENGTH or not _SHAPE.fullmatch(token):
        raise ValueError("shape")
    header, payload, signature = map(_decoded, token.split("."))
    return header, payload, signature


def read_header(content: bytes) -> Mapping[str, str]:
    """Read `alg`, `typ` and `kid`, each of them optional.

    Raises:
        ValueError: Any other key, or one of them listed twice.
    """
    text = content.decode("ascii")
    if not _HEADER.fullmatch(text):
        raise ValueError("header")
    header = json.loads(text)
    if len(header) != text.count(":"):
        raise ValueError("twice")
    return header


def read_payload(content: bytes) -> Mapping[str, Any]:
    """Read the claims from a plain JSON object.

    Of a repeated key the last value counts.

    Raises:
        ValueError: Not a plain JSON object.
    """
    text = content.decode("utf-8")
    # Escaped backslashes first: what is left of them begins an escape.
    escapes = text.replace("\\\\", "__")
    if "\\u0000" in escapes or _HALF.search(_PAIR.sub("_", escapes)):
        raise ValueError("invalid characters")
    bones = _STRING.sub('""', escapes.replace('\\"', "_"))
    if _ODD.search(bones) or _is_too_deep(bones):
        raise ValueError("not plain")
    payload = json.loads(text)
    if not isinstance(payload, dict):
        raise ValueError("not an object")
    return payload


def text_claim(payload: Mapping[str, Any], name: str) -> str:
    """Read a claim that must be a text that is not empty."""
    value = payload[name]
    if not isinstance(value, str) or not value:
        raise ValueError(name)
    return value


def seconds_claim(payload: Mapping[str, Any], name: str) -> int:
    """Read a claim that must be an instant in whole seconds since 1970."""
    value = payload[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LAST_SECOND:
        raise ValueError(name)
    return value


def _decoded(part: str) -> bytes:
    try:
        content = base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("base64url") from error
    # Bits beyond the last byte could be anything: one token would have many spellings.
    if base64.urlsafe_b64encode(content).rstrip(b"=") != part.encode():
        raise ValueError("loose bits")
    return content


def _is_too_deep(bones: str) -> bool:
    for _ in range(DEEPEST):
        if not _BRACKET.search(bones):
            return False
        bones = _INNERMOST.sub("", bones)
    return bool(_BRACKET.search(bones))
