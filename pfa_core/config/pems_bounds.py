"""Bounds of the settings of PEMS."""

from __future__ import annotations

MAX_PAGE = 100_000
MAX_SECONDS = 3600
MAX_RETRIES = 20
ZONE = r"[+-]([01]\d|2[0-3])[0-5]\d"
