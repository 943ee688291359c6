"""Exit codes of the program that no error class carries."""

from __future__ import annotations

PARTLY_DONE = 3
DIFFERS = 10
INTERRUPTED = 130
READER_GONE = 141
TERMINATED = 143
