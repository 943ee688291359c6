"""Makes the sample of `pfa demo` and `pfa sample`: a small project, a week of rain, PEMS a day later.

python benchmarks/make_sample.py pfa_cli/sample
"""

from __future__ import annotations

import json
import random
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pfa_core.pems.mapping.field_map import DEFAULT_FIELDS, DEFAULT_SCREEN_FIELDS

CATEGORIES = {
    "Crane": ("Cranes", "Rental", 18_000),
    "Excavator": ("Earthmoving", "Rental", 9_500),
    "Generator": ("Power Generation", "Rental", 3_200),
    "Boom Lift": ("Aerial Work Platforms", "Rental", 2_400),
    "Pickup 4x4": ("Trucks - Light Duty", "Purchase", 61_000),
    'Trailer, 40" flat': ("Site Facilities", "Purchase", 38_000),
}
MAKERS = ("Liebherr", "Caterpillar", "Müller Kräne", "O'Neill & Sons", "東洋建機", "Terex")
SILOS = ("Silo 1", "Silo 2", "Silo 3", "Silo 4", "Jetty")
RECORDS = 240


def main(folder: Path) -> None:
    """Write the files of the sample."""
    rng = random.Random(41)
    records = [record(rng, number) for number in range(1, RECORDS + 1)]
    weather = [
        moved(item, 14)
        for item in records
        if item["areaSilo"] == "Silo 4" and not item["isActualized"] and not item["isDiscontinued"]
    ]
    later = [dict(item) for item in records]
    for item in later[:RECORDS:17]:
        item["monthlyRate"] = (item["monthlyRate"] or 0) + 150
    overtaken = next(item for item in later if item["pfaId"] == weather[0]["pfaId"])
    overtaken["forecastEnd"] = shifted(overtaken["forecastEnd"], 30)
    write_lines(folder / "mirror.jsonl", records)
    write_lines(folder / "mirror-next-day.jsonl", later)
    write_delta(folder / "delta-weather.json", "weather-silo4", weather)
    write_delta(folder / "delta-faulty.json", "review", faulty(records))
    (folder / "field-map.toml").write_text(field_map(), "utf-8")


def record(rng: random.Random, number: int) -> dict[str, Any]:
    """One equipment line of the sample project."""
    category = rng.choice(list(CATEGORIES))
    class_name, source, price = CATEGORIES[category]
    start = date(2026, 1, 5) + timedelta(rng.randrange(400))
    end = start + timedelta(rng.randrange(30, 300))
    slip = rng.choice((0, 0, 7, 21, -10))
    actualized = rng.random() < 0.35
    quarters = round(price * rng.uniform(0.7, 1.4) * 4)
    money = quarters // 4 if quarters % 4 == 0 else quarters / 4
    return {
        "pfaId": f"DEMO-{number:04}",
        "areaSilo": rng.choice(SILOS),
        "category": category,
        "class": class_name,
        "source": source,
        "dor": rng.choice(("PROJECT", "BEO")),
        "isActualized": actualized,
        "isDiscontinued": not actualized and rng.random() < 0.06,
        "isFundsTransferable": False,
        "monthlyRate": money if source == "Rental" else None,
        "purchasePrice": money if source == "Purchase" else None,
        "manufacturer": rng.choice(MAKERS),
        "model": f"{rng.choice('ABCT')}{rng.randrange(100, 999)}",
        "originalStart": start.isoformat(),
        "originalEnd": end.isoformat(),
        "forecastStart": shifted(start.isoformat(), slip),
        "forecastEnd": shifted(end.isoformat(), slip + rng.choice((0, 0, 14))),
        "actualStart": shifted(start.isoformat(), slip) if actualized else None,
        "actualEnd": shifted(end.isoformat(), slip) if actualized else None,
    }


def moved(item: dict[str, Any], days: int) -> dict[str, Any]:
    """The modification that shifts a line's forecast."""
    delta = {name: shifted(item[name], days) for name in ("forecastStart", "forecastEnd")}
    return {"pfaId": item["pfaId"], "delta": delta, "changeReason": "Weather: Silo 4 stood still"}


def shifted(day: str, days: int) -> str:
    """An ISO date some days later."""
    return (date.fromisoformat(day) + timedelta(days)).isoformat()


def faulty(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Modifications of which each has a fault of another kind, but the last."""
    planned = [item for item in records if not (item["isActualized"] or item["isDiscontinued"])]
    actualized = next(item for item in records if item["isActualized"])
    rented = [item for item in planned if item["source"] == "Rental"]
    bought = next(item for item in planned if item["source"] == "Purchase")
    deltas = (
        (actualized, {"source": "Purchase", "purchasePrice": 250_000}),
        (bought, {"purchasePrise": 39_990}),
        (rented[0], {"forecastEnd": shifted(rented[0]["forecastStart"], -1)}),
        (rented[1], {"monthlyRate": -100}),
        (rented[2], {"forecastEnd": shifted(rented[2]["forecastEnd"], 30)}),
    )
    return [{"pfaId": item["pfaId"], "delta": delta} for item, delta in deltas]


def field_map() -> str:
    """The default field map as a file."""
    return (
        "# The names that PEMS has for fields: those that pfa takes where no field map is configured.\n"
        "\n[fields] # alias of the grid = field\n"
        + "".join(f'{alias} = "{name}"\n' for alias, name in DEFAULT_FIELDS.items())
        + "\n[screen.fields] # name in the user-defined screen = field\n"
        + "".join(f'{alias} = "{name}"\n' for alias, name in DEFAULT_SCREEN_FIELDS.items())
    )


def write_delta(path: Path, session: str, modifications: list[dict[str, Any]]) -> None:
    """A delta file."""
    content = {"sessionId": session, "modifications": modifications}
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """One record a line."""
    lines = (json.dumps(item, ensure_ascii=False) for item in records)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
