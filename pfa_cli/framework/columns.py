"""Names that --columns takes."""

from __future__ import annotations

from pfa_core.errors import InvalidRequest


def require_columns(
    columns: tuple[str, ...], known: tuple[str, ...], *, open_ended: bool = False
) -> None:
    """Refuse columns that a command does not have.

    Args:
        open_ended: `data.NAME` is a column too, whatever the name.

    Raises:
        InvalidRequest: Naming the first unknown one, and the known ones.
    """
    for column in columns:
        if column in known or (open_ended and column.startswith("data.")):
            continue
        also = "; data.NAME for any other field of the record" if open_ended else ""
        raise InvalidRequest(
            f"unknown column {column!r}", hint=f"columns: {', '.join(known)}{also}"
        )
