"""Previews of what a dry run would change, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfa_cli.framework.talk import Talk
from pfa_cli.render.changes import preview_lines

if TYPE_CHECKING:
    from pfa_core.drafts.save_preview import SavePreview


def say_preview(talk: Talk, preview: SavePreview | None) -> None:
    """Write what would change, by field, and whether money of it is masked."""
    if preview and preview.records:
        talk.mask(preview)
        for line in preview_lines(preview):
            talk.say(line)
        talk.note_masking()
