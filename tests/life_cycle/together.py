"""Operations that start at one moment, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pfa_core import errors


def together(*works: Callable[[], Any]) -> list[Any]:
    """Start all at one moment; what each returned, or the PfaError that it raised."""
    gate = threading.Barrier(len(works))
    answers: list[Any] = [None] * len(works)

    def run(number: int, work: Callable[[], Any]) -> None:
        gate.wait()
        try:
            answers[number] = work()
        except errors.PfaError as error:
            answers[number] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "two operations wait for each other"
    return answers
