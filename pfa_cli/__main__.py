"""`python -m pfa_cli` is `pfa`."""

from __future__ import annotations

import sys

from pfa_cli.main import main

sys.exit(main())
