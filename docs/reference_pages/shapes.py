"""Pages of what is written or read as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from docs.reference_pages.markdown import MADE, listed, page, table
from docs.reference_pages.sections import JSON_PAGES, section_of
from pfa_cli.schemas import line_of, names, read_schema
from pfa_cli.schemas.keys import keys_of


def json_shapes() -> str:
    """The keys of everything that is written or read as JSON or TOML."""
    return page(
        "# JSON",
        MADE,
        "Every key that `pfa` writes with `-o json` or `-o jsonl`, and of the files that it reads. The "
        "same as JSON Schemas: `pfa schema list`, `pfa schema NAME`, `pfa schema COMMAND`, and with "
        "`--line` that of one line of JSONL. A key that is *where known* is absent otherwise.",
        "**What stays.** A key is not renamed or removed, and does not change its type, within the first "
        "number of its schema's version; a new key raises the second. So take what you know and pass over "
        "the rest. Keys are in camel case, but those of `pfa stats` in `data` and `groups`, which are in "
        "snake case. Numbers keep every digit; instants are RFC 3339 in UTC, to the millisecond; `money` "
        "is in the organization's currency and null where it is hidden from you.",
        "**How it looks.** In a pipe JSON is on one line. On a terminal it is indented, but with "
        "`--compact`. JSONL is one value a line everywhere, and an error one line on stderr.",
        *(part for section, page in JSON_PAGES.items() for part in _shape_index(section, page)),
    )


def _shape_index(section: str, page: str) -> Iterator[str]:
    yield f"## [{section or 'Files and errors'}]({page})"
    yield table(
        ("shape", "commands", "is"),
        (
            (
                f"[{name}]({page_of_shape(name)})",
                listed(read_schema(name)["x-commands"]),
                read_schema(name)["description"],
            )
            for name in names()
            if _section_of_shape(name) == section
        ),
    )


def json_of(section: str) -> str:
    """The shapes of the commands of a section; of files and errors where it is empty."""
    return page(
        f"# JSON: {section or 'files and errors'}",
        MADE,
        "Units, versions and what stays are explained in [JSON](json.md).",
        *(part for name in names() if _section_of_shape(name) == section for part in _shape(name)),
    )


def _section_of_shape(name: str) -> str:
    commands = read_schema(name)["x-commands"]
    return section_of(f"pfa {commands[0]}") if commands else ""


def page_of_shape(name: str) -> str:
    """Return the page and anchor of a shape."""
    return f"{JSON_PAGES[_section_of_shape(name)]}#{name}"


def _shape(name: str) -> Iterator[str]:
    schema = read_schema(name)
    yield f"## {name}"
    commands = ", ".join(f"`pfa {command}`" for command in schema["x-commands"])
    text = schema["description"]
    text = text[:1].upper() + text[1:]
    yield f"{text}.{f' Of {commands}.' if commands else ''} Version {schema['x-version']}."
    keys = keys_of(schema)
    yield _key_table(keys)
    line = line_of(schema)
    below = {key.key.removeprefix("data[].").removeprefix("data.") for key in keys}
    own = [key for key in (keys_of(line) if line else ()) if key.key not in below]
    if own:
        yield "A line of JSONL has these keys of its own:"
        yield _key_table(own)


def _key_table(keys: Iterable[Any]) -> str:
    return table(
        ("key", "type", "unit", "there", "means"),
        ((f"`{key.key}`", key.type, key.unit, key.presence, key.means) for key in keys),
    )
