"""Commands composed from option groups."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from enum import Enum
from functools import cache
from typing import Annotated, Any, get_origin, get_type_hints

import typer

from pfa_cli.exit_codes import INTERRUPTED
from pfa_cli.framework.common import Common, require_columns
from pfa_cli.framework.help import Command, Group, epilog
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.options import OfView, OptionGroup
from pfa_cli.framework.talk import Talk
from pfa_core.errors import InvalidRequest

Run = Callable[..., int | None]
# Parameters that narrow what a command does, or name what it does something with.
_NARROWING = frozenset((
    "session", "sessions", "session_id", "into", "user", "user_id", "run", "run_id", "pfa_id", "conflict_id",
    "key_id", "code",
    "since", "until", "start_from", "start_to", "end_from", "end_to", "search", "view",
    "org", "profile", "database_url", "token_file",
))  # fmt: skip
_OF_WRITES = ("dry_run", "yes")
_CONTEXT = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)


class Effect(Enum):
    """Effect of a command; only what WRITES has a dry run."""

    READS = "reads"
    WRITES = "writes"
    IMMEDIATE = "immediate"


def command(
    app: typer.Typer,
    name: str,
    *,
    effect: Effect = Effect.READS,
    writes_with: str = "",
    asks: bool = True,
    examples: tuple[str, ...] = (),
    exit_codes: str = "",
    columns: tuple[str, ...] = (),
    offered: tuple[str, ...] = (),
    open_ended: bool = False,
    negative: bool = False,
) -> Callable[[Run], Run]:
    """Register a function as a command.

    Of its parameters, those of type Invocation and Talk are supplied, those of an option group are
    filled from the group's options; all others are options of its own.

    Args:
        asks: What it writes belongs to the profile, which may be protected: then the user is asked.
        writes_with: The flag without which it only reads, and asks nothing.
        columns: What --columns may name, refused before the function runs; none where it prints nothing,
            or where they depend on its arguments and it refuses others by itself.
        offered: What completion offers for --columns in that case.
        open_ended: `data.NAME` is a column too.
        negative: An argument may be a negative number.
    """

    def check(common: Common) -> None:
        if columns:
            require_columns(common.chosen_columns, columns, open_ended=open_ended)

    def decorate(function: Run) -> Run:
        run = _composed(function, effect, check, writes_with, asks=asks)
        vars(run)["columns"] = columns or offered  # completion offers them
        cls: type[Command] = Command
        if negative:  # few commands: no other loads it
            from pfa_cli.framework.numbers import NumberCommand

            cls = NumberCommand
        app.command(
            name,
            cls=cls,
            epilog=epilog(examples, exit_codes),
        )(run)
        return function

    return decorate


def group(
    app: typer.Typer,
    name: str,
    text: str,
    *,
    default: str = "",
    modules: Mapping[str, str] | None = None,
) -> typer.Typer:
    """Add a group of commands that takes the common options too.

    Args:
        default: The command that runs where none is named.
        modules: Its commands in order, each with the module that is loaded when it is named; None: they
            are registered before the group is used.
    """
    cls = type("Group", (Group,), {"default": default, "modules": modules or {}})
    inner = typer.Typer(cls=cls, help=text, rich_markup_mode=None, callback=read_common)
    cls.home = inner
    app.add_typer(inner, name=name)
    return inner


def takes_common(function: Callable[..., None]) -> Callable[..., None]:
    """Add the common options to the callback of a group or of the program."""
    hints = get_type_hints(function, include_extras=True)
    own = inspect.signature(function).parameters.values()

    def run(ctx: typer.Context, **values: Any) -> None:
        values = _readable(ctx, values)
        _require_names(ctx, values)
        ctx.obj.read(_take(Common, values).taken())
        function(ctx, **values)

    _sign(run, function, [*(_resolved(param, hints) for param in own), *_options(Common)])
    return run


def _require_names(ctx: typer.Context, values: Mapping[str, Any]) -> None:
    """Refuse an empty name or date, as a variable without a value gives.

    It would narrow nothing: all sessions, users or runs would be meant by it, or the usual organization. An
    empty category is a value, and an empty variable of the environment counts as not set.
    """
    for param in ctx.command.params:
        value = values.get(param.name or "")
        if param.name in _NARROWING and (value == "" or (isinstance(value, list) and "" in value)):
            is_option = param.param_type_name == "option"
            name = param.opts[0] if is_option else (param.metavar or param.name).strip("[]")
            raise InvalidRequest(f"{name} is empty")


def _readable(ctx: typer.Context, values: dict[str, Any]) -> dict[str, Any]:
    if ctx.obj.is_ascii:
        return values
    from pfa_cli.framework.texts import readable

    return readable(ctx.command.params, values)


def _composed(
    function: Run,
    effect: Effect,
    check: Callable[[Common], None],
    writes_with: str,
    *,
    asks: bool,
) -> Callable[..., int | None]:
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    groups = {name: found for name in parameters if (found := _group_of(hints[name]))}
    supplied = {name for name in parameters if hints[name] in (Invocation, Talk)}

    def run(ctx: typer.Context, **values: Any) -> int | None:
        values = _readable(ctx, values)
        _require_names(ctx, values)
        common = ctx.obj.read(_take(Common, values).taken())
        _require_dry_run(common, effect, ctx)
        check(common)
        options = {name: _take(group, values) for name, group in groups.items()}
        taken = {name: option.taken() for name, option in options.items()}
        talk = Talk(common)
        reports = effect is not Effect.READS
        with Invocation(common, ctx.obj.program, reports=reports) as call:
            ctx.obj.has_stored = lambda: call.has_stored
            writes = effect is Effect.WRITES and (not writes_with or values[writes_with])
            ctx.obj.is_writing = writes and not common.dry_run
            of_type = {Invocation: call, Talk: talk}
            for name, option in options.items():
                taken[name] = option.applied(taken[name], _of_view(call, talk))
            if asks and ctx.obj.is_writing and not _may_write(call, talk, ctx):
                return INTERRUPTED
            code = function(**{name: of_type[hints[name]] for name in supplied}, **taken, **values)
        talk.note_masking()
        return code

    own = [param for name, param in parameters.items() if name not in {*groups, *supplied}]
    signature = [_CONTEXT, *(_resolved(param, hints) for param in own)]
    for options in (*groups.values(), Common):
        signature += _options(options)
    if effect is not Effect.WRITES:
        signature = [param for param in signature if param.name not in _OF_WRITES]
    _sign(run, function, signature)
    return run


def _of_view(call: Invocation, talk: Talk) -> OfView:
    def within(name: str, filters: Any) -> Any:
        from pfa_cli.framework.views import within_view  # most commands name none

        return within_view(call, talk, name, filters)

    return OfView(within, call.view.sort if call.view else None)


def _may_write(call: Invocation, talk: Talk, ctx: typer.Context) -> bool:
    """Ask before a write in a protected profile."""
    from pfa_cli.framework.consent import may_write

    if may_write(call, ctx.command_path):
        return True
    talk.say("nothing was changed")
    return False


def _group_of(hint: Any) -> type[OptionGroup] | None:
    """Return the option group of a parameter; None where it is an option of its own."""
    candidates = hint.__metadata__ if get_origin(hint) is Annotated else (hint,)
    kinds = (kind for kind in candidates if isinstance(kind, type))
    return next((kind for kind in kinds if issubclass(kind, OptionGroup)), None)


def _take(kind: type[OptionGroup], values: dict[str, Any]) -> OptionGroup:
    """Move the values of a group out of those of the command line."""
    names = [item.name for item in fields(kind) if item.name in values]
    return kind(**{name: values.pop(name) for name in names})


def _require_dry_run(common: Common, effect: Effect, ctx: typer.Context) -> None:
    if common.dry_run and effect is Effect.IMMEDIATE:
        raise InvalidRequest(f"{ctx.command_path} has no dry run", hint="omit --dry-run")


def _sign(
    run: Callable[..., Any], function: Callable[..., Any], parameters: Iterable[inspect.Parameter]
) -> None:
    parameters = list(parameters)
    run.__name__ = getattr(function, "__name__", "command")
    run.__doc__ = function.__doc__
    run.__annotations__ = {param.name: param.annotation for param in parameters}
    run.__signature__ = inspect.Signature(parameters)


@cache
def _options(kind: type[OptionGroup]) -> Sequence[inspect.Parameter]:
    """Declare the fields of a group as parameters, as typer reads them."""
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            item.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if item.default is MISSING else item.default,
            annotation=hints[item.name],
        )
        for item in fields(kind)
    ]


def _resolved(param: inspect.Parameter, hints: dict[str, Any]) -> inspect.Parameter:
    return param.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[param.name])


@takes_common
def read_common(ctx: typer.Context) -> None:
    """Take the common options before a command of a group."""
