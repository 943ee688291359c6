"""The benchmarks run to their end in their short forms; their figures mean nothing here."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from benchmarks.million import peers
from benchmarks.million.growth import Line, table
from benchmarks.million.plot import Curve, drawn
from tests.forms import LONG
from tests.server import Server

ROOT = Path(__file__).parents[1]
SVG = "{http://www.w3.org/2000/svg}"


def run(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def figures(done: subprocess.CompletedProcess[str], found: Path) -> list[dict[str, Any]]:
    """What it measured; a target is missed or none is, and its exit code says which."""
    assert done.returncode in (0, 1), done.stderr
    content = json.loads(found.read_text())
    assert content["records"] == 2000
    missed = any(not figure["good"] for figure in content["figures"])
    assert done.returncode == int(missed)
    assert all(figure["own"] > 0 and figure["beside"] > 0 for figure in content["figures"])
    return content["figures"]


@LONG
def test_the_short_form_measures_every_promise(tmp_path: Path) -> None:
    found = tmp_path / "figures.json"
    done = run("benchmarks.million", "--records", "2000", "--rounds", "1", "--json", str(found))
    measured = figures(done, found)
    assert len(measured) > 60, done.stderr
    named = {figure["name"].split(" --")[0].split(":")[0] for figure in measured}
    assert {
        "page",
        "changes since last night",
        "total of all",
        "stats over all",
        "edit one record, server time",
        "pfa",
        "pfa list of one page",
    } <= named


@LONG
def test_the_cost_of_row_level_security_is_measured(tmp_path: Path) -> None:
    found = tmp_path / "rls.json"
    words = ("--records", "2000", "--rounds", "1", "--json", str(found))
    measured = figures(run("benchmarks.million.rls", *words), found)
    assert len(measured) == 13
    assert {"authorization", "KPIs", "a search, many"} <= {figure["name"] for figure in measured}


@LONG
def test_stale_statistics_are_compared_with_fresh_ones(tmp_path: Path) -> None:
    found = tmp_path / "stale.json"
    words = ("--records", "2000", "--drafts", "50", "--rounds", "1", "--only", "stats", "restore")
    measured = figures(run("benchmarks.stale", *words, "--json", str(found)), found)
    states = ("none", "emptied", "dump")
    assert {figure["name"] for figure in measured} == {
        f"{name}, {state}" for name in ("stats", "restore") for state in states
    }


@LONG
def test_a_cluster_and_one_machine_are_compared(
    postgres: Server, template: str, tmp_path: Path
) -> None:
    found = tmp_path / "scale.json"
    with postgres.database(template) as own, postgres.database(template) as beside:
        words = (
            "--distributed",
            own,
            "--beside",
            beside,
            "--organizations",
            "2",
            "--records",
            "50",
        )
        short = ("--rounds", "2", "--seconds", "0.5", "--processes", "1", "--json", str(found))
        done = run("benchmarks.scale", *words, *short)
    assert done.returncode in (0, 1), done.stderr
    measured = json.loads(found.read_text())["figures"]
    # Of calls the clock and the processor, of many at once the clock.
    assert len(measured) == 13
    assert all(figure["own"] > 0 and figure["beside"] > 0 for figure in measured)


@LONG
def test_growth_is_measured_at_every_size_and_drawn(tmp_path: Path) -> None:
    found, plot = tmp_path / "growth.json", tmp_path / "growth.svg"
    words = ("--sizes", "2000,500", "--rounds", "1", "--json", str(found), "--plot", str(plot))
    done = run("benchmarks.million.growth", *words)
    assert done.returncode in (0, 1), done.stderr
    lines = json.loads(found.read_text())["lines"]
    assert len(lines) == 9
    assert all(line["sizes"] == [500, 2000] and min(line["seconds"]) > 0 for line in lines)
    assert done.returncode == int(any(not line["flat"] for line in lines))
    rows = [row for row in done.stdout.splitlines() if row.startswith("| ")]
    assert rows[0] == "| Work | 500 records | 2,000 records | Largest / smallest | Flat |"
    assert [row.split(" | ")[0][2:] for row in rows[1:]] == [line["name"] for line in lines]
    assert len(ET.parse(plot).findall(f"{SVG}polyline")) == 9


def test_a_line_is_flat_up_to_twice_its_figure_at_the_smallest_size() -> None:
    flat = Line("flat", (10, 100), (0.001, 0.002))
    bent = Line("bent", (10, 100), (0.001, 0.0021))
    assert (flat.flat, bent.flat) == (True, False)
    assert table([flat, bent]).splitlines()[2:] == [
        "| flat | 1.00 ms | 2.00 ms | 2.00 | yes |",
        "| bent | 1.00 ms | 2.10 ms | 2.10 | no |",
    ]


def test_the_plot_spaces_sizes_by_their_logarithm_and_keeps_names_apart() -> None:
    points = ((10, 1.0), (100, 1.0), (1000, 1.0))
    root = ET.fromstring(drawn("a < b", [Curve("one", points), Curve("two", points)]))
    assert root.findtext(f"{SVG}title") == "a < b"
    lines = [line.attrib["points"].split() for line in root.iter(f"{SVG}polyline")]
    left, middle, right = (float(place.split(",")[0]) for place in lines[0])
    assert middle - left == pytest.approx(right - middle, abs=0.2)
    names = [
        float(text.attrib["y"]) for text in root.iter(f"{SVG}text") if "1.0 ms" in (text.text or "")
    ]
    assert len(names) == 2
    assert abs(names[0] - names[1]) >= 12


@pytest.mark.slow
def test_without_the_peers_it_says_how_to_install_them() -> None:
    code = (
        "import runpy, sys; sys.modules['dlt'] = None; sys.argv = ['peers'];"
        "runpy.run_module('benchmarks.million.peers', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "dlt" in done.stderr
    assert "pip install -e '.[peers]'" in done.stderr


# The peers and what they need are some hundred megabytes that nothing else here uses: an extra, which the
# tests do not install.
@pytest.mark.skipif(bool(peers.missing()), reason="needs the optional extra `peers`")
def test_the_peers_do_the_same_work(tmp_path: Path) -> None:
    found = tmp_path / "peers.json"
    words = ("--records", "2000", "--rounds", "1", "--json", str(found))
    measured = figures(run("benchmarks.million.peers", *words), found)
    assert [figure["name"] for figure in measured] == [
        *["pull into an empty mirror"] * 2,
        *["the same again, nothing changed"] * 2,
        "page of 100 by category and forecastStart",
        "show one record",
        "edit one record",
        "commit a session of 500 changes",
    ]
