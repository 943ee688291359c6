"""Tests in two forms: the short one runs always, the long one only with --long."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

LONG = pytest.mark.long
# How many times as many examples the long forms draw: for a night, or before a release.
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


def drawn(name: str, *, short: int, long: int) -> pytest.MarkDecorator:
    """Run a test with one number of drawn examples, and in the long form with another, times the effort."""
    return forms(name, short=short, long=long * EFFORT)


def long(values: Iterable[Any]) -> list[Any]:
    """Values for the long form only, beside those of the short one; of several arguments a tuple each."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=LONG)
        for value in values
    ]
