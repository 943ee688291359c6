"""Stdout as the program finds it: what cannot be written completely is an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

resource = pytest.importorskip("resource")


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_file_that_takes_only_a_part_is_an_error_and_no_short_result(
    unbuffered: str, tmp_path: Path
) -> None:
    """Python's unbuffered stdout, common in containers, drops the rest of a partial write."""
    file = tmp_path / "out"

    def help_page(limit: int) -> subprocess.CompletedProcess[str]:
        with file.open("wb") as stdout:
            return subprocess.run(
                [sys.executable, "-m", "pfa_cli", "--help"],
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            )

    whole = help_page(resource.RLIM_INFINITY)
    assert (whole.returncode, whole.stderr) == (0, "")
    assert file.read_text().startswith("Usage: pfa")
    assert file.stat().st_size > 2000

    part = help_page(1000)
    assert (part.returncode, file.stat().st_size) == (74, 1000)
    assert part.stderr == "error: cannot read or write: File too large [IO_ERROR]\n"
