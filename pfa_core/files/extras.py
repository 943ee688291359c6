"""Packages that are installed on demand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pfa_core.errors import ConfigInvalid


@contextmanager
def extra(name: str, what: str) -> Iterator[None]:
    """Say how to install what an import in the block lacks.

    Args:
        name: Of the extra that has the package.
        what: What cannot be done without it, as in "to write workbooks".

    Raises:
        ConfigInvalid: It is not installed.
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or name).partition(".")[0]
        raise ConfigInvalid(
            f"{what}, the package {package} is needed, which is not installed",
            hint=f"type: pip install 'pfa[{name}]'",
        ) from error


def require_extra(file_format: str) -> None:
    """Refuse a format whose package is not installed, before anything is read.

    Raises:
        ConfigInvalid: It is not.
    """
    from importlib.util import find_spec

    module = {"xlsx": "xlsxwriter", "parquet": "pyarrow"}.get(file_format)
    with extra(file_format, f"to write .{file_format}"):
        if module and find_spec(module) is None:
            raise ModuleNotFoundError(name=module)
