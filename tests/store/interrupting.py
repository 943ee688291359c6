"""Interrupts at every place where Python looks for signals, one after the other."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Collection, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

# Python looks for signals as a function begins and where a call of C has returned.
_LOOKS = ("RESUME", "CALL", "CALL_FUNCTION_EX")


@cache
def _places(code: CodeType) -> frozenset[int]:
    steps = list(dis.get_instructions(code))
    return frozenset(after.offset for before, after in pairwise(steps) if before.opname in _LOOKS)


class _Interrupter:
    """A tracer that raises KeyboardInterrupt at one place of the code of some files."""

    def __init__(self, files: Collection[str], number: int) -> None:
        self._files, self._left = files, number
        self.place = ""

    def called(self, frame: FrameType, _event: str, _value: object) -> Any:
        if frame.f_code.co_filename not in self._files:
            return None
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, frame: FrameType, event: str, _value: object) -> Any:
        if event == "opcode" and frame.f_lasti in _places(frame.f_code):
            if self._left == 0:
                sys.settrace(None)
                self.place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                raise KeyboardInterrupt
            self._left -= 1
        return self._step


def interrupted_everywhere(work: Callable[[], object], *files: str | None) -> Iterator[str]:
    """Run something again and again, interrupted at the next place each time; yield where it was.

    It ends with a run that came to its end.
    """
    number = 0
    while True:
        tracer = _Interrupter({file for file in files if file}, number)
        before = sys.gettrace()
        sys.settrace(tracer.called)
        try:
            work()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        if not tracer.place:
            return
        yield tracer.place
        number += 1
