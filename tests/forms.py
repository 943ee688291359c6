"""Tests in two forms: the short one runs always, the long one only with --long."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

LONG = pytest.mark.long
# How many times as many examples properties draw, and whether the long forms draw as many as for a release.
EFFORT = int(os.environ.get("PFA_TEST_EFFORT", "1"))


def forms(name: str | tuple[str, ...], *, short: Any, long: Any) -> pytest.MarkDecorator:
    """Run a test with one value of the argument, and in the long form with another; of several arguments
    with a tuple of values."""
    several = isinstance(name, tuple)
    both = [
        pytest.param(*(values if several else (values,)), id=form, marks=marks)
        for form, values, marks in (("short", short, ()), ("long", long, LONG))
    ]
    return pytest.mark.parametrize(name, both)


def drawn(name: str, *, short: int, long: int, night: int) -> pytest.MarkDecorator:
    """Run a test with one number of drawn examples, and in the long form with another."""
    return forms(name, short=short, long=many(long, night))


def many(long: int, night: int) -> int:
    """How many examples the long form draws: with an effort of 10, before a release, as many as `night` says."""
    return long if EFFORT == 1 else night * EFFORT // 10


def every_third(values: Iterable[Any]) -> list[Any]:
    """Every third value, and in the long form the others too: they are of one kind."""
    return [
        pytest.param(value, marks=[LONG] if place % 3 else []) for place, value in enumerate(values)
    ]


def long(values: Iterable[Any]) -> list[Any]:
    """Values for the long form only, beside those of the short one; of several arguments a tuple each."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=LONG)
        for value in values
    ]
