"""Write docs/reference/*.md, the glossary and the life cycle from the code.

    python docs/generate_reference.py

The pages are made in docs/reference_pages. tests/test_docs.py makes them again and fails when one differs
from the code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs.reference_pages.commands import commands, shared_options  # noqa: E402
from docs.reference_pages.index import index  # noqa: E402
from docs.reference_pages.library import library  # noqa: E402
from docs.reference_pages.markdown import MADE, page  # noqa: E402
from docs.reference_pages.sections import COMMAND_PAGES, JSON_PAGES  # noqa: E402
from docs.reference_pages.shapes import json_of, json_shapes  # noqa: E402
from docs.reference_pages.tables import codes, environment, fields, rights, roles  # noqa: E402
from docs.reference_pages.words import glossary, life_cycle  # noqa: E402


def pages() -> dict[Path, str]:
    """The text of every page that is made from the code."""
    reference = {
        "README.md": index(),
        **{name: commands(section) for section, name in COMMAND_PAGES.items()},
        "options.md": page("# Options of many commands", MADE, *shared_options()),
        "fields.md": page("# Fields", MADE, *fields()),
        "errors.md": page("# Errors", MADE, *codes()),
        "configuration.md": page("# Configuration", MADE, *environment()),
        "rights.md": page("# Roles and rights", MADE, *roles(), *rights()),
        "library.md": page("# Library", MADE, *library()),
        "json.md": json_shapes(),
        **{name: json_of(section) for section, name in JSON_PAGES.items()},
    }
    return {
        **{ROOT / "docs" / "reference" / name: text for name, text in reference.items()},
        ROOT / "docs" / "glossary.md": glossary(),
        ROOT / "docs" / "life-cycle.md": life_cycle(),
    }


def main(write: Callable[[Path, str], object] = lambda path, text: path.write_text(text)) -> None:
    """Write every page."""
    (ROOT / "docs" / "reference").mkdir(exist_ok=True)
    for path, text in pages().items():
        write(path, text)


if __name__ == "__main__":
    main()
