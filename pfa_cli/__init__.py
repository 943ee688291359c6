"""The command line: parses, calls one operation of `pfa_core`, renders."""

from __future__ import annotations

__version__ = "0.1.0"
