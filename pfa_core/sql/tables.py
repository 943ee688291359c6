"""Tables of an organization that go with it into another database, or stay.

A test finds a table of the schema that has an organization and is in neither list.
"""

from __future__ import annotations

from collections.abc import Mapping

# In the order in which they are written and read: the organization's own row first, so that of two who bring the
# same organization the second one waits for the first.
CARRIED: tuple[str, ...] = (
    "pfa_organization",
    "pfa_member",
    "pfa_token",
    "pfa_view",
    "pfa_mirror",
    "pfa_mirror_history",
    "pfa_modification",
    "pfa_overlay",
    "kpi_rollup",
    "kpi_month",
    "kpi_field",
    "kpi_overlay",
    "pfa_sync_log",
    "pfa_sync_outcome",
    "pfa_sync_conflict",
    "pfa_pull_page",
    "audit_log",
    "audit_link",
    "audit_head",
)

# Why the others stay behind.
LEFT_BEHIND: Mapping[str, str] = {
    "audit_expected": "holds what one transaction has to say, and is empty outside of it",
    "pfa_digest": "names transactions of its own database; the next pull makes it anew",
    "pfa_lease": "names processes that run on its own database; none may run while it is exported",
}
