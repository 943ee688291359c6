"""A generated project: the same records for the same seed, as odd as real ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

CATEGORIES = {
    "Crane": "Cranes",
    "Tower Crane": "Cranes",
    'Trailer, 40" flat': "Site Facilities",
    "Pickup 4x4": "Trucks - Light Duty",
    "Loader": "Earth Moving",
    "": "",
}
AREAS = ("Silo 4", "Jetty", "Área 7 – Ampliación", "LNG Train 1", "")
MAKERS = ("Liebherr", "Müller Kräne", "O'Neill & Sons", "100% \\ _x", "")


def records(count: int, seed: int, prefix: str = "GEN") -> Iterator[dict[str, Any]]:
    """Baseline records; about one in twenty lacks a date, a price or both."""
    chance = random.Random(seed)
    for number in range(1, count + 1):
        yield _record(chance, f"{prefix}-{number:05}")


def deltas(
    rows: list[dict[str, Any]], count: int, seed: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Valid changes of `count` different records, in an order of their own."""
    chance = random.Random(seed)
    for row in chance.sample(rows, count):
        yield row["pfaId"], _delta(chance, row)


def _record(chance: random.Random, pfa_id: str) -> dict[str, Any]:
    category = chance.choice(list(CATEGORIES))
    purchase = chance.random() < 0.15
    actualized = chance.random() < 0.5
    flag = chance.random()
    plan, forecast = _span(chance), _span(chance)
    actual = _span(chance) if actualized else (None, None)
    return {
        "pfaId": pfa_id,
        "areaSilo": chance.choice(AREAS),
        "category": category,
        "class": CATEGORIES[category],
        "source": "Purchase" if purchase else "Rental",
        "dor": chance.choice(("BEO", "PROJECT")),
        "isActualized": actualized,
        "isDiscontinued": flag < 0.06,
        "isFundsTransferable": flag > 0.95,
        "monthlyRate": None if purchase and chance.random() < 0.9 else _money(chance, 20_000),
        "purchasePrice": _money(chance, 900_000) if purchase else chance.choice((None, 0)),
        "manufacturer": chance.choice(MAKERS),
        "model": chance.choice(("LTM 1030", "00123", "1e5", "")),
        "contract": chance.choice((None, "C-6314", "C-1")),
        "equipment": f"EQ-{chance.randrange(10**5):05} - x" if actualized else None,
        "originalStart": plan[0],
        "originalEnd": plan[1],
        "forecastStart": forecast[0],
        "forecastEnd": forecast[1],
        "actualStart": actual[0],
        "actualEnd": None if chance.random() < 0.1 else actual[1],
    }


def _delta(chance: random.Random, row: dict[str, Any]) -> dict[str, Any]:
    kinds: list[dict[str, Any]] = [
        dict(zip(("forecastStart", "forecastEnd"), _span(chance), strict=True)),
        {"areaSilo": chance.choice(AREAS), "manufacturer": chance.choice(MAKERS)},
        {"monthlyRate": _money(chance, 30_000), "purchasePrice": _money(chance, 10**6)},
    ]
    category = chance.choice(list(CATEGORIES))
    kinds.append({"category": category, "class": CATEGORIES[category]})
    if not row["isFundsTransferable"]:
        kinds.append({"isDiscontinued": True})
    if not row["isDiscontinued"]:
        kinds.append({"isFundsTransferable": not row["isFundsTransferable"]})
    if not row["isActualized"]:
        kinds.append({"source": "Purchase", "purchasePrice": _money(chance, 10**6)})
        kinds.append({"source": "Rental", "monthlyRate": _money(chance, 20_000)})
    else:
        kinds.append({"actualEnd": "2027-12-31"})
    return chance.choice(kinds)


def _span(chance: random.Random) -> tuple[str | None, str | None]:
    start = date(2024, 1, 1) + timedelta(chance.randrange(1000))
    end = start + timedelta(chance.randrange(400))
    return (
        None if chance.random() < 0.03 else start.isoformat(),
        None if chance.random() < 0.03 else end.isoformat(),
    )


def _money(chance: random.Random, most: int) -> int | Decimal:
    whole = chance.randrange(most)
    return chance.choice((whole, Decimal(whole).scaleb(-2), Decimal(whole) + Decimal("0.005")))
