"""The command line's parameters, made of the options' declarations.

Knows Typer's side of an option; what options there are belongs to their declarations.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from hpsearch.options import Option

_F = TypeVar("_F", bound=Callable[..., Any])


def taking(options: Sequence[Option], *, unset: bool = False) -> Callable[[_F], _F]:
    """Give a command these options, in place of its ``**options``.

    The command gets each under its name, as Python's functions take it.

    Parameters
    ----------
    unset : whether each is None unless given, in place of its own default.
    """
    shown = [each for each in options if each.panel is not None]

    def decorate(command: _F) -> _F:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]

        @functools.wraps(command)
        def with_options(**given: Any) -> Any:
            read = {
                each.name: each.read(given[each.name]) if each.read else given[each.name]
                for each in shown
            }
            return command(**{**given, **read})

        with_options.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*own, *(_parameter(each, unset=unset) for each in shown)]
        )
        with_options.__annotations__ = {}
        return with_options  # type: ignore[return-value]

    return decorate


def _parameter(each: Option, *, unset: bool) -> inspect.Parameter:
    default = None if unset or each.read is not None or each.default == () else each.default
    words = each.on_command_line()
    if unset and each.resumed.is_recorded:
        words = f"{words.removesuffix('.')}. Default: as before."
    flags = [each.flag, *([f"-{each.short}"] if each.short else [])]
    if each.is_switch:
        flags = [f"{each.flag}/--no-{each.flag[2:]}" if default is not False else each.flag]
    given: Any = list[each.given] if each.repeats else each.given  # type: ignore[name-defined]
    return inspect.Parameter(
        each.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[
            given | None if default is None else given,
            typer.Option(
                *flags,
                metavar="" if each.is_switch else each.metavar,
                help=words,
                rich_help_panel=each.panel,
            ),
        ],
    )
