"""Show where a profile's settings come from, and work with the profile.

    python examples/use_profile.py
    python examples/use_profile.py production

Without a name it is the usual profile, as for `pfa`. A library never takes what was chosen at a terminal
(`pfa profile use`) unless it says so: `stored=True`.
"""

from __future__ import annotations

import sys

import pfa_core as pfa


def main() -> int:
    """Print the settings that are not defaults, then count the records there."""
    flags = pfa.Flags(profile=sys.argv[1] if len(sys.argv) > 1 else None)
    try:
        for setting in pfa.list_settings(flags, stored=False):
            if setting.source not in ("", "default"):
                print(f"{setting.key} = {setting.value} ({setting.source})")
        settings = pfa.resolve(flags)
        principal = pfa.authenticate(settings)
        with pfa.open_database(settings) as database:
            print(f"{pfa.count_records(database, principal, pfa.Query())} records")
    except pfa.errors.PfaError as error:
        print(f"{error.message} [{error.code}]", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
