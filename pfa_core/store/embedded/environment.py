"""Variables of the environment that libpq reads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# Every variable of PostgreSQL begins so, those of future versions too.
ALL = ("PG",)
_CHANGING = threading.Lock()


@contextmanager
def hidden(prefixes: Sequence[str] = ALL) -> Iterator[None]:
    """Hide the variables with these prefixes from libpq for the block.

    No parameter of a connection replaces PGSERVICE, nor those that libpq sends as settings, PGDATESTYLE for
    instance. Where none is set, nothing happens.
    """
    beginnings = tuple(prefixes)
    if not any(name.startswith(beginnings) for name in os.environ):
        yield
        return
    with _CHANGING:
        kept = {name: value for name, value in os.environ.items() if name.startswith(beginnings)}
        for name in kept:
            del os.environ[name]
        try:
            yield
        finally:
            os.environ.update(kept)
