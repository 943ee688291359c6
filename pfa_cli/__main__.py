"""Entry point of `python -m pfa_cli`."""

from __future__ import annotations

import sys

from pfa_cli.main import main

sys.exit(main())
