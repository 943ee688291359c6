"""Commands composed from option groups: a command asks for a group by the type of a parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, get_type_hints

import typer

from pfa_cli.framework.call import Call
from pfa_cli.framework.common import Common, common_options
from pfa_cli.framework.filters import filter_options
from pfa_cli.framework.help import Command, Group, epilog
from pfa_cli.framework.paging import Paging, paging_options
from pfa_cli.framework.run_log import Logs, log_options
from pfa_core.errors import InvalidRequest
from pfa_core.model.query import Filters

Run = Callable[..., int | None]
GROUPS: Mapping[type, Callable[..., Any]] = {
    Filters: filter_options,
    Paging: paging_options,
    Logs: log_options,
}
_CONTEXT = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)


class Effect(Enum):
    """What a command does to the world; only what WRITES can be rehearsed with --dry-run."""

    READS = "reads"
    WRITES = "writes"
    SETTLES = "settles"


def command(
    app: typer.Typer,
    name: str,
    *,
    effect: Effect = Effect.READS,
    examples: tuple[str, ...] = (),
    exit_codes: str = "",
    loose_numbers: bool = False,
) -> Callable[[Run], Run]:
    """Register a command: its first parameter is the Call, others may be option groups.

    Args:
        loose_numbers: Arguments such as -14 are numbers, not options.
    """

    def decorate(function: Run) -> Run:
        app.command(
            name,
            cls=Command,
            epilog=epilog(examples, exit_codes),
            context_settings={"ignore_unknown_options": True} if loose_numbers else {},
        )(_composed(function, effect))
        return function

    return decorate


def group(app: typer.Typer, name: str, text: str, *, default: str = "") -> typer.Typer:
    """A group of commands that takes the common options too.

    Args:
        default: The command that is meant where none is named.
    """
    cls = type("Group", (Group,), {"default": default}) if default else Group
    inner = typer.Typer(cls=cls, help=text, rich_markup_mode=None, callback=_read_common)
    app.add_typer(inner, name=name)
    return inner


def takes_common(function: Callable[..., None]) -> Callable[..., None]:
    """Let the callback of a group or of the program take the common options before it runs."""
    hints = get_type_hints(function, include_extras=True)
    own = list(inspect.signature(function).parameters.values())

    def run(ctx: typer.Context, **values: Any) -> None:
        taken = _Taker(values)
        ctx.obj.read(taken.value(common_options))
        function(ctx, **taken.rest)

    parameters = [*(_resolved(param, hints) for param in own), *_parameters(common_options)]
    _sign(run, function, parameters)
    return run


def _composed(function: Run, effect: Effect) -> Callable[..., int | None]:
    hints = get_type_hints(function, include_extras=True)
    _, *own = inspect.signature(function).parameters.values()
    groups = {param.name: GROUPS[hints[param.name]] for param in own if hints[param.name] in GROUPS}

    def run(ctx: typer.Context, **values: Any) -> int | None:
        taken = _Taker(values)
        common = ctx.obj.read(taken.value(common_options))
        _require_rehearsable(common, effect, ctx)
        arguments = {name: taken.value(group) for name, group in groups.items()}
        with Call(common) as call:
            return function(call, **arguments, **taken.rest)

    parameters = [_CONTEXT, *(_resolved(param, hints) for param in own if param.name not in groups)]
    for options in (*groups.values(), common_options):
        parameters += _parameters(options)
    if effect is not Effect.WRITES:
        parameters = [param for param in parameters if param.name != "dry_run"]
    _sign(run, function, parameters)
    return run


class _Taker:
    """Hands the values of a command line out to the groups that declared them."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.rest = values

    def value(self, options: Callable[..., Any]) -> Any:
        names = [name for name in inspect.signature(options).parameters if name in self.rest]
        return options(**{name: self.rest.pop(name) for name in names})


def _require_rehearsable(common: Common, effect: Effect, ctx: typer.Context) -> None:
    if common.dry_run and effect is Effect.SETTLES:
        raise InvalidRequest(f"{ctx.command_path} cannot be rehearsed", hint="leave out --dry-run")


def _sign(run: Callable[..., Any], function: Run, parameters: list[inspect.Parameter]) -> None:
    run.__name__ = getattr(function, "__name__", "command")
    run.__doc__ = function.__doc__
    run.__annotations__ = {param.name: param.annotation for param in parameters}
    run.__signature__ = inspect.Signature(parameters)


def _parameters(options: Callable[..., Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(options, include_extras=True)
    return [_resolved(param, hints) for param in inspect.signature(options).parameters.values()]


def _resolved(param: inspect.Parameter, hints: Mapping[str, Any]) -> inspect.Parameter:
    return param.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[param.name])


@takes_common
def _read_common(ctx: typer.Context) -> None:
    """The common options, before a command of a group."""
