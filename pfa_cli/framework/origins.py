"""Where each setting came from, for --verbose."""

from __future__ import annotations

import os

from pfa_core.config.settings import Settings
from pfa_core.errors import PfaError


def origins(settings: Settings) -> list[str]:
    """Describe where each setting came from, a line each."""
    profile = settings.profile or "default"
    if settings.profile_source:
        profile += f" ({settings.profile_source})"
    file = settings.config_dir / "config.toml"
    there = os.path.exists(file)  # False too where this user may not look
    lines = [f"profile: {profile} in {file}" if there else f"profile: none, no {file}"]
    lines += [f"{name}: from {origin}" for name, origin in settings.origin.items()]
    if settings.database_url is None:
        lines.append(f"database: {_embedded(settings)}")
    lines.append(f"token: {settings.token_source or 'none'}")
    return lines


def _embedded(settings: Settings) -> str:
    try:
        return f"the embedded server in {settings.embedded_dir}"
    except PfaError as error:
        return f"no embedded server: {error.message}"
