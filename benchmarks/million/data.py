"""Seeded records with the skew of real projects: few categories and areas, many models and contracts."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

# Category: its class, its name in PEMS, what a month or a purchase of it costs, how often it occurs.
CATEGORIES = {
    "Welding Machine": ("Welding", "41010 WELDING MACHINE", 700, 91),
    "Scissor Lift": ("Aerial Work Platforms", "21030 SCISSOR LIFT", 1_100, 75),
    "Boom Lift": ("Aerial Work Platforms", "21010 BOOM LIFT", 2_400, 74),
    "Pickup 4x4": ("Trucks - Light Duty", "02012 PICKUP 4X4", 1_300, 71),
    "Light Tower": ("Power Generation", "31020 LIGHT TOWER", 900, 60),
    "Generator": ("Power Generation", "31010 GENERATOR", 3_200, 57),
    "Forklift": ("Material Handling", "13010 FORKLIFT", 2_100, 52),
    "Compressor": ("Compressed Air", "33010 COMPRESSOR", 1_900, 50),
    "Excavator": ("Earthmoving", "11010 EXCAVATOR", 9_500, 48),
    "Van": ("Trucks - Light Duty", "02020 VAN", 1_200, 45),
    "Wheel Loader": ("Earthmoving", "11030 WHEEL LOADER", 7_800, 42),
    "Dozer": ("Earthmoving", "11020 DOZER", 12_000, 40),
    "Telehandler": ("Material Handling", "13020 TELEHANDLER", 3_900, 38),
    "Mobile Crane": ("Cranes", "04150 MOBILE CRANE", 24_000, 36),
    'Trailer, 40" flat': ("Site Facilities", "57000 TRAILER", 800, 33),
    "Office Container": ("Site Facilities", "57010 OFFICE CONTAINER", 450, 30),
    "Pump": ("Pumps", "35010 PUMP", 1_000, 28),
    "Roller": ("Earthmoving", "11050 ROLLER", 5_100, 24),
    "Dump Truck": ("Trucks - Heavy Duty", "03010 DUMP TRUCK", 8_800, 22),
    "Crane": ("Cranes", "04100 CRANE", 18_000, 16),
    "Tower Crane": ("Cranes", "04200 TOWER CRANE", 31_000, 8),
}
AREAS = [f"Silo {number}" for number in range(1, 11)] + [
    "Tank Farm",
    "South Area",
    "North Area",
    "Jetty",
    "Laydown",
    "",
]
MAKERS = [
    "Liebherr",
    "Terex",
    "Manitowoc",
    "Caterpillar",
    "Sany",
    "Volvo",
    "Komatsu",
    "Wacker Neuson",
]
MAKERS += [
    "Müller Kräne",
    "O'Neill & Sons",
    "JLG",
    "Genie",
    "Atlas Copco",
    "Lincoln",
    "Miller",
    "Tadano",
]
MAKERS += [
    "Hitachi",
    "Doosan",
    "Bobcat",
    "Kubota",
    "Toyota",
    "Ford",
    "Hyster",
    "Bomag",
    "Hamm",
    "Grove",
]
MAKERS += ["東洋建機", ""]
BIG = "BIG"
NEXT = "NEXT"  # another large one, whose records come when BIG has its own
FIRST_DAY = date(2024, 1, 1)
_DAYS = [(FIRST_DAY + timedelta(day)).isoformat() for day in range(2600)]


def small_organizations(count: int) -> list[str]:
    """The codes of the small organizations beside the big one."""
    return [f"SITE{number:02}" for number in range(1, count + 1)]


def records(organization: str, count: int, seed: int = 7) -> Iterator[dict[str, Any]]:
    """So many records of an organization, in the order of their ids; the same ones every time."""
    rng = random.Random(f"{organization} {seed}")
    names = list(CATEGORIES)
    weights = [CATEGORIES[name][3] for name in names]
    for first in range(1, count + 1, 10_000):
        several = range(first, min(first + 10_000, count + 1))
        chosen = rng.choices(names, weights, k=len(several))
        for number, category in zip(several, chosen, strict=True):
            yield record(rng, organization, number, category)


def record(rng: random.Random, organization: str, number: int, category: str) -> dict[str, Any]:
    """One equipment line: its dates slip, half of the lines are on site, some were given up."""
    class_, in_pems, rate, _ = CATEGORIES[category]
    chance = rng.random
    purchase = chance() < 0.14
    start, span = int(chance() * 1100), 14 + int(chance() * 400)
    slip = int(chance() * 60) - 15 if chance() < 0.5 else 0
    actualized = chance() < 0.5
    price = round(rate * (0.6 + chance() * 0.9) * 4) / 4
    rate_ = int(price) if price == int(price) else price
    end = start + slip + 15 + span
    return {
        "pfaId": f"{organization}-{number:07}",
        "organization": organization,
        "description": f"{in_pems[6:].capitalize()} for shift {number % 3}"
        if chance() < 0.4
        else None,
        "areaSilo": AREAS[int(chance() * len(AREAS))],
        "category": category,
        "forecastCategory": in_pems,
        "class": class_,
        "source": "Purchase" if purchase else "Rental",
        "dor": "BEO" if chance() < 0.37 else "PROJECT",
        "isActualized": actualized,
        "isDiscontinued": not actualized and chance() < 0.11,
        "isFundsTransferable": chance() < 0.04,
        "monthlyRate": 0 if purchase else rate_,
        "purchasePrice": round(price * (35 + chance() * 10)) if purchase else None,
        "manufacturer": MAKERS[int(chance() * len(MAKERS))],
        "model": f"{'ABDKLRST'[int(chance() * 8)]}{int(chance() * 1000)}/{int(chance() * 9)}"
        if chance() < 0.9
        else "",
        "contract": f"C-{int(chance() * 5000):04}" if chance() < 0.4 else None,
        "equipment": f"EQ-{int(chance() * 90_000):05} - {category}" if actualized else None,
        "originalStart": _DAYS[start],
        "originalEnd": _DAYS[start + span],
        "hasPlan": True,
        "forecastStart": _DAYS[start + slip + 15] if chance() < 0.99 else None,
        "forecastEnd": _DAYS[end],
        "actualStart": _DAYS[start + slip + 15] if actualized else None,
        "actualEnd": _DAYS[end] if actualized and chance() < 0.8 else None,
        "hasActuals": False,
        "pemsVersion": f"2026-11-{1 + number % 28:02}T08:{number % 60:02}:00Z",
    }


def write(path: Path, organization: str, count: int, *, changed_every: int = 0) -> Path:
    """A JSONL file of the records; with `changed_every` every so-manyth has another rate and end."""
    if path.exists():
        return path
    unfinished = path.with_suffix(".part")
    with unfinished.open("w", encoding="utf-8") as out:
        for number, item in enumerate(records(organization, count), 1):
            item["hasActuals"] = bool(item["actualStart"] and item["actualEnd"])
            if changed_every and number % changed_every == 0:
                item["monthlyRate"] = (item["monthlyRate"] or 0) + 10
                item["forecastEnd"] = "2032-01-01"
            out.write(json.dumps(item, ensure_ascii=False) + "\n")
    unfinished.rename(path)
    return path


def table(path: Path) -> Path:
    """Write the records of a JSONL file as CSV beside it."""
    target = path.with_suffix(".csv")
    with (
        path.open(encoding="utf-8") as lines,
        target.open("w", encoding="utf-8", newline="") as out,
    ):
        first = json.loads(next(lines))
        writer = csv.DictWriter(out, [*first])
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(map(json.loads, lines))
    return target
