"""Exit codes of the program beside those of its errors."""

from __future__ import annotations

PARTLY_DONE = 3
DIFFERS = 10
INTERRUPTED = 130
READER_GONE = 141
TERMINATED = 143
