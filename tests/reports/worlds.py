"""Organizations whose reports look different: hostile, huge, empty, of many names."""

from __future__ import annotations

from tests.cli.conftest import as_before_keys_were_checked
from tests.factories import World, a_world, draft, record

SCRIPT = "<script>alert(1)</script>"
ATTRIBUTE = '"><img src=x onerror=alert(2)>'
REVERSED = "\u202eevitcnuf\u202c"  # reads from right to left
MARKUP = "[a](https://evil.example) | `b` **c** ![d](x) <!-- e"
FORMULA = '=HYPERLINK("http://evil.example","f")'
CONTROL = "bell\x07 and\x1b[31m red\nnew line, \u2066apart\u2069"
LONG = "Unusually-long-name-without-a-blank-" * 5
WIDE = "起重机起重机起重机起重机起重机起重机起重机起重机"
HOSTILE = (SCRIPT, ATTRIBUTE, REVERSED, MARKUP, FORMULA, LONG, WIDE, "بوم", "")


def usual(url: str) -> World:
    """Four records of three categories, two of them drafted by ann in two sessions."""
    world = a_world(
        url,
        record("P-1", category="Crane", forecastEnd="2026-03-31"),
        record("P-2", category="Dozer", monthlyRate=250, forecastEnd="2025-12-11"),
        record("P-3", category="Pump", source="Purchase", purchasePrice=900),
        record("P-4", category="Pump", isDiscontinued=True),
        users={"ann": "admin", "vera": "viewer"},
    )
    ann = world.principal()
    draft(world.db, ann, "P-1", forecastEnd="2026-04-30", session="one", reason="rain")
    draft(world.db, ann, "P-2", monthlyRate=500, session="two", reason="dearer")
    return world


def hostile(url: str) -> World:
    """Records whose texts attack the program that shows them, and drafts with such reasons."""
    with as_before_keys_were_checked():
        records = [
            record(
                f"P-{number}",
                category=text,
                areaSilo=text,
                description=text,
                forecastEnd="2026-02-15",
                monthlyRate=10 ** (number + 2),
            )
            for number, text in enumerate(HOSTILE)
        ]
        world = a_world(url, *records)
        ann = world.principal()
        for number, text in enumerate((SCRIPT, ATTRIBUTE, FORMULA, CONTROL)):
            pfa_id = f"P-{number}"
            draft(
                world.db,
                ann,
                pfa_id,
                model=text,
                monthlyRate=5,
                session=f"s{number} {MARKUP}",
                reason=text,
            )
    return world


def huge(url: str) -> World:
    """400 categories over 14 years, one of them of amounts as large as they may be; missing dates."""
    records = [
        record(
            f"P-{number:03}",
            category=f"Category {number:03}",
            monthlyRate=1000 + number,
            originalStart=f"{2020 + number % 14}-03-01",
            originalEnd=f"{2020 + number % 14}-09-01",
            forecastStart=f"{2020 + number % 14}-04-15",
            forecastEnd=f"{2021 + number % 14}-02-01",
            actualStart="2020-04-15" if number % 14 == 0 else None,
            actualEnd="2020-05-15" if number % 14 == 0 else None,
        )
        for number in range(400)
    ]
    records += [
        record("H-1", category="Immense", source="Purchase", purchasePrice=987654321987.65),
        record("H-2", category="Cheaper", originalEnd="2027-12-31", monthlyRate=9876543.21),
        record("H-3", category="No dates", forecastStart=None, forecastEnd=None),
        record("H-4", category="No plan", originalStart=None, originalEnd=None),
    ]
    return a_world(url, *records)


HOSTILE_TITLE = f"{SCRIPT} {ATTRIBUTE} {REVERSED} {LONG}"[:200]
