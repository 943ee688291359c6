"""Take inputs of any bytes with every parser: python -m tests.fuzz [TARGET …] --seconds 60.

--guided uses atheris (pip install atheris), which is guided by the lines that an input reaches; without it
inputs are changed at random, many more in the same time for a parser that is quick to refuse.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from os import cpu_count
from pathlib import Path

from tests.fuzz.targets import TARGETS, pool
from tests.fuzz.trial import Result, trial


def main() -> int:
    """Run the targets, print cases and findings; return 1 where there is a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="*", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--cases", type=int, help="for each target, in place of a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--findings", type=Path, default=Path("findings"), help="where inputs are kept"
    )
    parser.add_argument("--guided", action="store_true", help="by atheris")
    asked = parser.parse_args()
    unknown = sorted(set(asked.target) - set(TARGETS))
    if unknown:
        parser.error(f"unknown target {unknown[0]!r}; targets are {', '.join(TARGETS)}")
    names = asked.target or list(TARGETS)
    if len(names) == 1 and not asked.guided:
        return _one(names[0], asked)
    return _all(names, asked)


def _one(name: str, asked: argparse.Namespace) -> int:
    until = None if asked.cases else time.monotonic() + asked.seconds
    found = trial(TARGETS[name].take, pool(name), seed=asked.seed, cases=asked.cases, until=until)
    _keep(name, found, asked.findings)
    print(f"{name}: {found.cases} cases, findings: {len(found.findings)}")
    return 1 if found.findings else 0


def _keep(name: str, found: Result, folder: Path) -> None:
    for finding in found.findings:
        path = folder / name / sha256(finding.content).hexdigest()[:16]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(finding.content)
        print(f"{name}: {finding.reason}: {path}", file=sys.stderr)


def _all(names: list[str], asked: argparse.Namespace) -> int:
    """Run each target in a process of its own, as many at once as there are cores."""
    with ThreadPoolExecutor(cpu_count()) as threads:
        run = _guided if asked.guided else _other
        found = list(threads.map(lambda name: run(name, asked), names))
    cases = sum(number for number, _ in found)
    findings = sum(wrong for _, wrong in found)
    print(f"{cases} cases in {len(names)} targets, findings: {findings}")
    return 1 if findings else 0


def _other(name: str, asked: argparse.Namespace) -> tuple[int, int]:
    bound = ["--cases", str(asked.cases)] if asked.cases else ["--seconds", str(asked.seconds)]
    words = [name, *bound, "--seed", str(asked.seed), "--findings", str(asked.findings)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *words], stdout=subprocess.PIPE, text=True
    )
    print(done.stdout, end="", flush=True)
    said = re.search(r"(\d+) cases, findings: (\d+)", done.stdout)
    # A process that ended otherwise was ended by what it read.
    return (int(said[1]), int(said[2])) if said else (0, 1)


def _guided(name: str, asked: argparse.Namespace) -> tuple[int, int]:
    folder = asked.findings / name
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pfa-fuzz-") as seeds:
        for number, content in enumerate(pool(name)):
            (Path(seeds) / str(number)).write_bytes(content)
        bound = f"-runs={asked.cases}" if asked.cases else f"-max_total_time={int(asked.seconds)}"
        words = [name, seeds, str(folder), bound, f"-seed={asked.seed}"]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.guided", *words], capture_output=True, text=True
        )
    runs = re.findall(r"Done (\d+) runs|^#(\d+)\s", done.stderr, re.MULTILINE)
    cases = max((int(one or other) for one, other in runs), default=0)
    print(f"{name}: {cases} cases, findings: {int(done.returncode != 0)}", flush=True)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    return cases, int(done.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
