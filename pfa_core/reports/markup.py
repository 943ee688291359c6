"""HTML and SVG as text; every text and attribute is escaped here."""

from __future__ import annotations

from html import escape

from pfa_core.reports.texts import visible


class Markup(str):
    """Markup that is written as it is."""

    __slots__ = ()


Content = str | Markup


def element(name: str, /, *content: Content, **attributes: object) -> Markup:
    """Make an element.

    Args:
        content: Texts, which are escaped, and markup.
        attributes: By name, `_` for `-` and behind a Python word; None: not there.
    """
    inner = "".join(map(text, content))
    return Markup(f"<{name}{_attributes(attributes)}>{inner}</{name}>")


def void(name: str, /, **attributes: object) -> Markup:
    """Make an element without an end."""
    return Markup(f"<{name}{_attributes(attributes)}>")


def shape(name: str, /, *content: Content, **attributes: object) -> Markup:
    """Make an SVG shape; without content it ends itself."""
    if content:
        return element(name, *content, **attributes)
    return Markup(f"<{name}{_attributes(attributes)}/>")


def joined(*parts: Content) -> Markup:
    """Put markup and texts one behind the other."""
    return Markup("".join(map(text, parts)))


def text(content: Content) -> str:
    """Return markup as it is, and a text escaped, its control characters visible."""
    return content if isinstance(content, Markup) else escape(visible(content))


def _attributes(attributes: dict[str, object]) -> str:
    return "".join(
        f' {name.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
