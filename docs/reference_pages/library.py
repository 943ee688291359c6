"""The page of the public names of `pfa_core`."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Iterator
from typing import Any

import pfa_core
from docs.reference_pages.markdown import first_line


def library() -> Iterator[str]:
    """Describe the public names."""
    yield (
        "The public names of `pfa_core`. Their docstrings (`python -m pydoc pfa_core.NAME` or your "
        "editor) tell arguments, results and every error a caller can act on."
    )
    names = sorted(set(pfa_core.__all__) - set(pfa_core._EARLIER))
    public = {name: getattr(pfa_core, name) for name in names}
    functions = [name for name, value in public.items() if inspect.isfunction(value)]
    kinds = [name for name, value in public.items() if inspect.isclass(value)]
    modules = [name for name, value in public.items() if inspect.ismodule(value)]
    for title, names in (("Functions", functions), ("Values", kinds), ("Modules", modules)):
        yield f"## {title}"
        for name in names:
            yield f"`{_signature(name, public[name])}`  \n{first_line(public[name])}"


def _signature(name: str, value: Any) -> str:
    if inspect.ismodule(value):
        return f"pfa_core.{name}"
    if inspect.isclass(value) and issubclass(value, enum.Enum):
        return f"{name}: {', '.join(value)}"
    if hasattr(value, "model_fields"):
        return f"{name}({', '.join(value.model_fields)})"
    if dataclasses.is_dataclass(value):
        return f"{name}({', '.join(_fields_of(value))})"
    signature = inspect.signature(value)
    result = signature.return_annotation
    arrow = "" if result is inspect.Signature.empty else f" -> {_named(result)}"
    return f"{name}({', '.join(_parameters(signature))}){arrow}"


def _fields_of(kind: type[Any]) -> Iterator[str]:
    for field in dataclasses.fields(kind):
        if not field.name.startswith("_"):
            yield field.name


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    before = None
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and before is not parameter.KEYWORD_ONLY:
            yield "*"
        before = parameter.kind
        text = ("*" if parameter.kind is parameter.VAR_POSITIONAL else "") + parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {_named(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {_value(parameter.default)}"
        yield text


def _named(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else annotation.__name__


def _value(value: Any) -> str:
    return getattr(value, "__name__", None) or repr(value)
