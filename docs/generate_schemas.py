"""Write pfa_cli/schemas/*.json from the types.

    python docs/generate_schemas.py             the schemas of the package
    python docs/generate_schemas.py --publish   them, and the copy of a release in tests/data/schemas

tests/cli/test_schemas.py makes them again and fails when a file differs, and compares with the copy: what
a release published stays.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pfa_cli.schemas.catalog import schemas  # noqa: E402

PACKAGE = ROOT / "pfa_cli" / "schemas"
PUBLISHED = ROOT / "tests" / "data" / "schemas"


def texts() -> dict[str, str]:
    """The text of each schema, by its name."""
    return {
        name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas().items()
    }


def main(folders: tuple[Path, ...]) -> None:
    """Write the files, and delete those of shapes that are gone."""
    made = texts()
    for folder in folders:
        folder.mkdir(exist_ok=True)
        for path in folder.glob("*.json"):
            if path.stem not in made:
                path.unlink()
        for name, text in made.items():
            (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main((PACKAGE, PUBLISHED) if "--publish" in sys.argv[1:] else (PACKAGE,))
