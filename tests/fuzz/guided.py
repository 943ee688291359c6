"""Inputs for one parser that atheris makes, guided by what lines they reach; never returns.

python -m tests.fuzz.guided TARGET SEEDS FINDINGS [options of libFuzzer]
"""

from __future__ import annotations

import sys


def main() -> None:
    """Let atheris make inputs until its options say that it is enough."""
    # Not among the dependencies, see docs/decisions.md: installed by those who ask for it.
    import atheris  # pyright: ignore[reportMissingImports]

    name, seeds, findings, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["pfa_core"]):
        from tests.fuzz.targets import TARGETS

    take = TARGETS[name].take
    bounds = ["-timeout=2", "-rss_limit_mb=1024", "-max_len=20000", f"-artifact_prefix={findings}/"]
    atheris.Setup([sys.argv[0], *bounds, *options, seeds], take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
