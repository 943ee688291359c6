"""Meanings of states, actions, rights and terms."""

from __future__ import annotations

from pfa_cli import exit_codes
from pfa_cli.glossary.codes import Meaning
from pfa_core.model.audit import Action
from pfa_core.model.modification import State
from pfa_core.model.principal import Right, Role
from pfa_core.model.run import RunStatus

STATES = {
    State.PRISTINE: Meaning("you have changed nothing of this record"),
    State.DRAFT: Meaning("your change, which only you see", "pfa commit --session NAME"),
    State.COMMITTED: Meaning("your change waits for the next push", "pfa sync push"),
    State.SYNCING: Meaning("a push is sending your change to PEMS"),
    State.SYNCED: Meaning("PEMS has your change, and so has the mirror"),
    State.SYNC_ERROR: Meaning(
        "PEMS did not take your change, or only later: it waits for a retry, or is a dead letter",
        "pfa sync retry --dry-run",
    ),
    State.CONFLICT: Meaning(
        "PEMS changed a field that your change sets too; one of the values has to be chosen",
        "pfa conflict list",
    ),
}

RUN_STATUSES = {
    RunStatus.RUNNING: Meaning("at work, and its lease is in force"),
    RunStatus.COMPLETED: Meaning("all of it was done"),
    RunStatus.PARTIAL: Meaning(
        "a part was done; of a pull what arrived is stored", "run it again: it resumes"
    ),
    RunStatus.FAILED: Meaning("it ended with an error, or its process disappeared", "run it again"),
    RunStatus.CANCELLED: Meaning("an interrupt or a limit ended it"),
    RunStatus.SKIPPED: Meaning("another run held the lease, and --if-locked skip was given"),
}

ACTIONS = {
    Action.SAVE: Meaning("a draft was saved: pfa draft save, set or shift"),
    Action.UNSET: Meaning("fields were removed from a draft: pfa draft unset"),
    Action.COMMIT: Meaning("a draft was committed: pfa commit"),
    Action.UNCOMMIT: Meaning("a committed change became a draft again: pfa uncommit"),
    Action.DISCARD: Meaning("a draft was discarded: pfa discard; pfa restore brings it back"),
    Action.RESTORE: Meaning("a discarded draft was restored: pfa restore"),
    Action.SETTLE: Meaning("a draft was removed since PEMS has its values, or owns its fields"),
    Action.UNDO: Meaning("a local operation was taken back, or done again: pfa undo"),
    Action.RESOLVE: Meaning("a conflict was resolved: pfa conflict resolve"),
    Action.OVERRIDE: Meaning("a commit or a push was over a limit, with its reason: --override"),
    Action.BEGIN: Meaning("a pull or push began"),
    Action.PULL: Meaning("a pull ended"),
    Action.PUSH: Meaning("a push ended"),
    Action.RETRY: Meaning("dead letters were given another try: pfa sync retry"),
    Action.ACKNOWLEDGE: Meaning("PEMS accepted a change"),
    Action.REJECT: Meaning("PEMS refused a change"),
    Action.POSTPONE: Meaning("a change waits for its next try"),
    Action.DISPUTE: Meaning("a push opened a conflict"),
    Action.RELEASE: Meaning("a push gave a change back unsent"),
    Action.VIEW_SAVE: Meaning("a view was saved: pfa view save"),
    Action.VIEW_DELETE: Meaning("a view was deleted: pfa view delete"),
    Action.ORGANIZATION: Meaning("an organization was added"),
    Action.CONFIGURE: Meaning("the settings of an organization were changed: pfa org set"),
    Action.GRANT: Meaning("a member got a role: pfa user grant"),
    Action.REVOKE: Meaning("a membership ended: pfa user revoke"),
    Action.REPAIR: Meaning("rows were repaired: pfa db verify --repair"),
    Action.ARCHIVE: Meaning("older entries of the trail went into a file: pfa log archive"),
    Action.TOKEN_ISSUE: Meaning("a token was issued"),
    Action.TOKEN_REFRESH: Meaning("a token was replaced"),
    Action.TOKEN_REVOKE: Meaning("a token was revoked"),
    Action.KEY_REGISTER: Meaning("a signing key was registered"),
    Action.KEY_ROTATE: Meaning("a new signing key was made"),
    Action.KEY_RETIRE: Meaning("a signing key was ended at once"),
    Action.PERMISSION_DENIED: Meaning("an operation was denied to a user"),
    Action.SYNC_SKIPPED: Meaning("a push left out changes of a user who may no longer send them"),
}

RIGHTS = {
    Right.READ: Meaning("read records, stats, runs and your own log"),
    Right.EXPORT: Meaning("export records"),
    Right.VIEW_FINANCIALS: Meaning("see money; without it amounts are masked"),
    Right.SAVE_DRAFT: Meaning(
        "save, unset, discard, restore, revert drafts, undo that; share views"
    ),
    Right.EDIT_FORECAST: Meaning("change fields of the forecast"),
    Right.EDIT_ACTUALS: Meaning("change actual dates and whether a record is actualized"),
    Right.SYNC: Meaning("commit, uncommit, resolve conflicts, push"),
    Right.IMPORT: Meaning("pull from files"),
    Right.REFRESH_DATA: Meaning("pull from PEMS"),
    Right.MANAGE_USERS: Meaning("grant roles, issue and revoke tokens, read every user's log"),
    Right.MANAGE_SETTINGS: Meaning("settings, signing keys, checks of the database and the trail"),
    Right.OVERRIDE_GUARDS: Meaning("commit or push more than a limit allows: --override REASON"),
}

ROLES = {
    Role.VIEWER: Meaning("may read, without money", "pfa user grant USER --role viewer"),
    Role.EDITOR: Meaning(
        "may read with money, export, draft forecasts, commit and push",
        "pfa user grant USER --role editor",
    ),
    Role.ADMIN: Meaning("has every right", "pfa user grant USER --role admin"),
    Role.SERVICE: Meaning(
        "a job: it has the rights it was issued, and no drafts",
        "pfa auth issue --service NAME --right RIGHT",
    ),
}

EXIT_CODES = {
    0: Meaning("done; no rows and nothing to do as well"),
    exit_codes.PARTLY_DONE: Meaning(
        "partly done: some records rejected or in conflict, the rest is stored"
    ),
    exit_codes.DIFFERS: Meaning("differs: only with `--exit-code` on `diff` and `status`"),
    exit_codes.INTERRUPTED: Meaning("interrupted (SIGINT)"),
    exit_codes.READER_GONE: Meaning("the reader of stdout went away, as in `pfa list | head -1`"),
    exit_codes.TERMINATED: Meaning("terminated (SIGTERM)"),
}

TERMS = {
    "actual": Meaning("what was used and is billed: actualStart and actualEnd, from PEMS"),
    "actualized": Meaning("on site and billing: its start is history", "pfa list --actualized"),
    "anchor": Meaning(
        "the end of the audit trail's chain, kept for a later check", "pfa log verify"
    ),
    "area": Meaning("where equipment works: the field areaSilo", 'pfa list --area-silo "Silo 4"'),
    "audit trail": Meaning(
        "who changed what, when, why; a chain that shows alterations", "pfa log"
    ),
    "base": Meaning("PEMS's value of a field when you first drafted it", "pfa conflict show ID"),
    "baseline": Meaning(
        "PEMS's values, without your changes: those of the mirror", "pfa list --baseline"
    ),
    "behind": Meaning(
        "rejected by the last complete pull: the mirror has the record as it was", "pfa sync runs"
    ),
    "BEO": Meaning("the contractor's central equipment organization, one of the values of dor"),
    "category": Meaning("the kind of equipment, within its class", "pfa stats --by category"),
    "change": Meaning("a committed draft on its way to PEMS", "pfa sync push"),
    "change set": Meaning("another word for session"),
    "claim": Meaning("the mark of a push that it is sending a change"),
    "class": Meaning("a group of categories of equipment", "pfa stats --by class"),
    "commit": Meaning(
        "to hand drafts over to the next push, all or none", "pfa commit --session NAME"
    ),
    "cost effect": Meaning("what a change adds to the forecast's cost", "pfa diff"),
    "dead letter": Meaning("a change that PEMS refused for good", "pfa sync retry --dry-run"),
    "delta": Meaning("the changed fields of a record with their new values"),
    "discard": Meaning(
        "to drop drafts; the audit trail keeps what they said", "pfa discard --session NAME"
    ),
    "discontinued": Meaning("cancelled; left out of costs", "pfa list --discontinued"),
    "DOR": Meaning("who carries the cost: BEO or PROJECT; the field dor"),
    "draft": Meaning("your private change over a record of PEMS", "pfa draft set ID FIELD=VALUE"),
    "draft impact": Meaning(
        "what your changes that are not in PEMS yet, drafted or committed, add to the forecast's cost",
        "pfa stats",
    ),
    "dry run": Meaning("the same work, rolled back at the end: -n on every command that writes"),
    "embedded server": Meaning("the PostgreSQL that pfa starts by itself", "pfa db status"),
    "end date": Meaning("the first day without the equipment: ends are exclusive"),
    "ESS": Meaning("the estimating system that the plan comes from"),
    "fault": Meaning("what is wrong with one field or record of an input"),
    "field map": Meaning("the names that PEMS has for fields, a TOML file", "pfa schema field-map"),
    "forecast": Meaning("what is expected now: forecastStart and forecastEnd, which you edit"),
    "funds transferable": Meaning(
        "its budget may go to other records; left out of costs", "pfa list --transferable"
    ),
    "guard": Meaning(
        "the most records, money or per cent that one commit or push may change", "pfa org list"
    ),
    "history": Meaning("what a record of the mirror held before PEMS changed it"),
    "job": Meaning(
        "a program with a token of its own, a member called service:NAME",
        "pfa auth issue --service NAME --right RIGHT",
    ),
    "lease": Meaning(
        "what keeps two pulls, or two pushes, of an organization from running at once"
    ),
    "live merge": Meaning("PEMS's values with your changes applied, at every read", "pfa list"),
    "masked": Meaning("hidden, since seeing money requires the right view_financials"),
    "member": Meaning("a user of an organization, with a role", "pfa user list"),
    "merged value": Meaning("PEMS's value with your changes applied", "pfa show ID"),
    "mine": Meaning("your value of a field, beside PEMS's", "pfa conflict resolve ID --take mine"),
    "mirror": Meaning("the local copy of PEMS's records", "pfa sync pull"),
    "missing": Meaning("not in PEMS any more, as the last whole pull found"),
    "modification": Meaning("a stored change of one user to one record, in any state"),
    "money": Meaning("rates, prices and sums, exact to every digit"),
    "month": Meaning("30.44 days: a rental costs days / 30.44 times its monthly rate"),
    "monthly rate": Meaning("what a rental costs a month, or each unit of its rateUom"),
    "organization": Meaning("one project and tenant; --org or PFA_ORG chooses it", "pfa org list"),
    "outcome": Meaning("what a run did with one record", "pfa sync show RUN"),
    "overlay": Meaning("a record as one user sees it where they changed it"),
    "overtaken": Meaning("PEMS changed a field after you drafted it", "pfa commit --dry-run"),
    "ownership": Meaning("whose value wins where PEMS and you change a field: mine, pems or ask"),
    "PEMS": Meaning("the external system of record: pfa mirrors it and sends changes to it"),
    "PEMS value": Meaning("the mirror's value of a field; baseline in options and JSON"),
    "PFA": Meaning("plan, forecast, actuals: the three dates and costs of an equipment record"),
    "plan": Meaning("the budget: originalStart and originalEnd, which no draft changes"),
    "profile": Meaning("a named group of settings in config.toml", "pfa profile list"),
    "pull": Meaning("to read PEMS's records into the mirror", "pfa sync pull"),
    "purchase": Meaning("bought equipment: it costs its purchasePrice, whatever its dates"),
    "push": Meaning("to send committed changes to PEMS", "pfa sync push"),
    "relative value": Meaning(
        "a new number or date that starts from the record's own, +5% or +14d",
        "pfa draft set ID monthlyRate=+5% -n",
    ),
    "rental": Meaning("hired equipment: it costs its rate for the time between its dates"),
    "record": Meaning("one equipment requirement with plan, forecast and actuals", "pfa show ID"),
    "resolve": Meaning(
        "to decide a conflict: your value, PEMS's or a third one", "pfa conflict resolve ID"
    ),
    "right": Meaning("a permission of a member or a token", "pfa auth status"),
    "role": Meaning("a template of rights: viewer, editor or admin", "pfa user list"),
    "rollup": Meaning("sums of the mirror that are kept for pfa stats", "pfa db verify"),
    "row-level security": Meaning(
        "PostgreSQL itself keeps organizations and users apart", "pfa doctor"
    ),
    "run": Meaning("one pull or one push", "pfa sync runs"),
    "sandbox": Meaning("a PEMS to practise on", "pfa sandbox --load mirror.jsonl"),
    "session": Meaning("a named group of drafts that are committed together", "pfa status"),
    "signing key": Meaning("the key that signs tokens", "pfa auth keys"),
    "silo": Meaning("a work area: the field areaSilo"),
    "source": Meaning("how equipment is obtained: Rental or Purchase"),
    "sync state": Meaning("how far your change of a record is: pristine, draft, committed, …"),
    "three-way check": Meaning("the comparison of base, PEMS's value and yours, by field"),
    "token": Meaning("what says who you are; it ends by itself", "pfa auth status"),
    "uncommit": Meaning(
        "to make drafts again of changes that were not sent", "pfa uncommit --session NAME"
    ),
    "variance": Meaning("forecast minus plan: + is over plan", "pfa stats"),
    "version": Meaning("a number that each change of a draft raises; the mirror has its own"),
    "view": Meaning(
        "filters that are kept under a name, with columns and an order", "pfa list --view NAME"
    ),
}
