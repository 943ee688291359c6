"""The benchmark of a million records runs to its end in its short form; its figures mean nothing here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_short_form_measures_every_promise(tmp_path: Path) -> None:
    found = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.million", "--records", "2000", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--json", str(found)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode in (0, 1), done.stderr
    content = json.loads(found.read_text())
    figures = content["figures"]
    assert content["records"] == 2000
    assert len(figures) > 60, done.stderr
    assert all(figure["ours"] > 0 and figure["beside"] > 0 for figure in figures)
    named = {figure["name"].split(" --")[0].split(":")[0] for figure in figures}
    assert {
        "page",
        "total of all",
        "stats over all",
        "edit one record",
        "pfa",
        "pfa list of one page",
    } <= named
    missed = any(not figure["good"] for figure in figures)
    assert done.returncode == int(missed)
