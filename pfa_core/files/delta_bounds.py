"""Bounds of a delta file."""

from __future__ import annotations

MAX_REASON = 2000
MAX_SESSION = 200
