"""Arguments that may be negative numbers."""

from __future__ import annotations

import re
from typing import Any

from pfa_cli.framework.help import Command

_NEGATIVE = re.compile(r"-\d\S*")


class NumberCommand(Command):
    """A command with an argument such as -14, which is a number and not an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line.

        A word with a blank in front is not taken for an option, and is a number all the same. What
        follows an option that takes a value is its value, and stays as it is.
        """
        with_value = {
            name
            for param in self.get_params(ctx)
            if param.param_type_name == "option" and not getattr(param, "is_flag", False)
            for name in param.opts
        }
        words = [
            f" {word}" if before not in with_value and _NEGATIVE.fullmatch(word) else word
            for before, word in zip(["", *args], args, strict=False)
        ]
        return super().parse_args(ctx, words)
