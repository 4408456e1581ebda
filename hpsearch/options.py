"""Options, each declared once: what an option is, and all that follows from its declaration.

Options are fields of a frozen dataclass, made by ``option``. Its default, its check, its words and
what becomes of it when a run goes on stand there and nowhere else; signatures, docstrings, the
command line's parameters, the journal's record, the line that makes a run again and the table in
docs/options.md are made of them. Which options there are belongs to ``hpsearch.search.options`` and
``hpsearch.data.options``; Typer's side to ``hpsearch.console.parameters``.

Light on purpose: the command line reads it before anything heavy is imported.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import math
import operator
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum, StrEnum
from typing import Any, Final, TypeVar

from hpsearch.errors import OptionError

Check = Callable[[str, Any], Any]
"""Takes an option's name and value, and gives the value as it is kept, or raises an
``OptionError``."""

MOST: Final = 10**9
"""What no number of a search may exceed; it would be a mistake, and work on in silence."""

MOST_TRIALS: Final = 1_000_000
MOST_FOLDS: Final = 10_000
"""Of all repeats together, and of the outer folds of a nested search."""

MOST_REPEATS: Final = 1_000
"""All folds are dealt and written down before anything is trained; the mean over a thousand
reshuffles says no more than over a hundred."""

MOST_EPOCHS: Final = 100_000
_AS_NOW: Final = object()

MOST_SAMPLED: Final = 10_000
"""Configurations that are listed at most."""

_F = TypeVar("_F", bound=Callable[..., Any])
_NAMED: Final = re.compile(r"\{(\w+)\}")


class Panel(StrEnum):
    """The headings that options stand under in the command line's help."""

    DATA = "Data"
    FOLDS = "Folds"
    SEARCH = "Search"
    TRAINING = "Training"
    DECIDING = "Deciding"
    RESULTS = "Results"


class Resumed(Enum):
    """What becomes of an option when a run goes on."""

    SAME = "must be the same"
    GROWS = "may be raised"
    CHANGES = "may be another"
    APART = "must be the same, by its fingerprint"
    ANEW = "is given anew"
    NEVER = "has no meaning there"

    @property
    def is_recorded(self) -> bool:
        """Whether the run's journal holds it."""
        return self in (Resumed.SAME, Resumed.GROWS, Resumed.CHANGES)


@dataclasses.dataclass(frozen=True)
class Option:
    """One option.

    Attributes
    ----------
    name : in Python; on the command line with hyphens.
    default : what holds where it is not given.
    words : what it does, in a sentence or more, with other options' names in braces.
    also : what more Python takes.
    check : its rule.
    panel : the heading that it stands under in the command line's help; None where only Python
        has it.
    metavar : what stands for its value there.
    long : its long form there, where that is another word than its name.
    short : its letter there, or None.
    given : the type of one value there.
    repeats : whether it may be given several times there.
    read : turns what was given there into its value in Python.
    write : its value in Python as words of a command line; by default ``--name value``.
    record : its value as a journal holds it; by default as it is.
    resumed : what becomes of it when a run goes on.
    for_one_network : whether ``cross_validate`` has it too.
    instead_of : names of options that were there before it.
    before : what it was in runs that began before it was an option.
    """

    name: str
    default: Any
    words: str
    also: str
    check: Check
    panel: Panel | None
    metavar: str
    long: str | None
    short: str | None
    given: type
    repeats: bool
    read: Callable[[Any], Any] | None
    write: Callable[[Any], Iterator[str]] | None
    record: Callable[[Any], Any] | None
    resumed: Resumed
    for_one_network: bool
    instead_of: tuple[str, ...]
    before: Any

    @property
    def flag(self) -> str:
        """Its long form on the command line."""
        return self.long or "--" + self.name.replace("_", "-")

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return self.given is bool

    def in_python(self) -> str:
        """Its words, with options as Python names them."""
        return _NAMED.sub(r"``\1``", f"{self.words} {self.also}".rstrip())

    def on_command_line(self) -> str:
        """Its words, with options as the command line names them."""
        return _NAMED.sub(lambda found: "--" + found[1].replace("_", "-"), self.words)

    def as_words(self, value: Any) -> Iterator[str]:
        """A value as words of a command line; none where it is the default."""
        if value == self.default and isinstance(value, bool) == isinstance(self.default, bool):
            return
        if self.write is not None:
            yield from self.write(value)
        elif isinstance(value, bool):
            yield self.flag if value else f"--no-{self.flag[2:]}"
        elif value is not None:
            yield from (self.flag, str(value))


def option(
    default: Any,
    words: str,
    check: Check,
    *,
    in_python: str = "",
    panel: Panel | None = None,
    metavar: str = "VALUE",
    flag: str | None = None,
    short: str | None = None,
    given: type = str,
    repeats: bool = False,
    read: Callable[[Any], Any] | None = None,
    write: Callable[[Any], Iterator[str]] | None = None,
    record: Callable[[Any], Any] | None = None,
    resumed: Resumed = Resumed.SAME,
    for_one_network: bool = False,
    instead_of: tuple[str, ...] = (),
    before: Any = _AS_NOW,
    kw_only: bool = True,
) -> Any:
    """A field of a frozen dataclass that is an option; see ``Option``."""
    made = Option(
        name="",
        default=default,
        words=" ".join(words.split()) if "\n\n" not in words else words,
        also=in_python,
        check=check,
        panel=panel,
        metavar=metavar,
        long=flag,
        short=short,
        given=given,
        repeats=repeats,
        read=read,
        write=write,
        record=record,
        resumed=resumed,
        for_one_network=for_one_network,
        instead_of=instead_of,
        before=default if before is _AS_NOW else before,
    )
    return dataclasses.field(default=default, kw_only=kw_only, metadata={"option": made})


def declared(options: Any) -> tuple[Option, ...]:
    """The options that a dataclass, or an instance of it, declares, in their order."""
    return tuple(
        dataclasses.replace(field.metadata["option"], name=field.name)
        for field in dataclasses.fields(options)
        if "option" in field.metadata
    )


def check_each(options: Any) -> None:
    """Hold each option of a frozen dataclass against its rule, and keep it as the rule gives it.

    Raises
    ------
    OptionError
        One breaks its rule.
    """
    for each in declared(options):
        value = each.check(each.name, getattr(options, each.name))
        object.__setattr__(options, each.name, value)


def recorded(options: Any) -> dict[str, Any]:
    """The options that a run's journal holds, by name, as JSON can hold them."""
    kept = [each for each in declared(options) if each.resumed.is_recorded]
    values = {each.name: getattr(options, each.name) for each in kept}
    return {
        each.name: each.record(values[each.name]) if each.record else values[each.name]
        for each in kept
    }


def check_options(function: str, given: Iterable[str], options: Sequence[Option]) -> None:
    """Raise ``OptionError`` where a function is given an option that it does not have."""
    names = [each.name for each in options]
    for name in given:
        if name not in names:
            check_not_replaced(name, options)
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise OptionError(
                f"{function} has no option {name!r}.{hint} Its options are {', '.join(names)}."
            )


def check_not_replaced(name: str, options: Sequence[Option]) -> None:
    """Raise ``OptionError`` for an option that was there before, saying what to write now."""
    for each in options:
        if name in each.instead_of:
            raise OptionError(
                f"`{name}` is no option any more; `{each.name}` took its place. {each.words}"
            )


def documented(options: Sequence[Option], heading: str = "Parameters") -> Callable[[_F], _F]:
    """Put the words of options under a heading of a docstring, after what stands there already.

    Where the docstring lacks the heading, it comes after the first paragraph.
    """

    def document(function: _F) -> _F:
        text = inspect.cleandoc(function.__doc__ or "")
        entries = "\n".join(map(_entry, options))
        title = f"{heading}\n{'-' * len(heading)}\n"
        if title not in text:
            first, gap, rest = text.partition("\n\n")
            text = f"{first}\n\n{title}{entries}{gap}{rest}"
        else:
            before, _, after = text.partition(title)
            own, gap, rest = after.partition("\n\n")
            text = f"{before}{title}{own}\n{entries}{gap}{rest}"
        function.__doc__ = text
        return function

    return document


def _entry(each: Option) -> str:
    """An option in a docstring's list of parameters."""
    text = f"{each.name} : {' '.join(each.in_python().split())}"
    return textwrap.fill(text, width=96, subsequent_indent="    ", break_on_hyphens=False)


def taking(options: Sequence[Option], *, unset: bool = False) -> Callable[[_F], _F]:
    """Say in the signature of a function what its ``**options`` are.

    Parameters
    ----------
    unset : whether each is None unless given, in place of its own default.
    """

    def sign(function: _F) -> _F:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        taken = [
            inspect.Parameter(
                each.name, inspect.Parameter.KEYWORD_ONLY, default=None if unset else each.default
            )
            for each in options
        ]
        function.__signature__ = signature.replace(parameters=[*own, *taken])  # type: ignore[attr-defined]
        return documented(options)(function)

    return sign


def table(options: Sequence[Option]) -> str:
    """Options as a table in Markdown, with their defaults and what becomes of them on resuming."""
    rows = [
        f"| `{each.flag}` | `{each.name}` | {_shown(each)} | {_in_a_cell(each)} "
        f"| {each.resumed.value} |"
        for each in options
    ]
    head = "| command line | Python | default | what it does | when a run goes on, it |"
    return "\n".join([head, "| --- | --- | --- | --- | --- |", *rows])


def _shown(each: Option) -> str:
    if each.default in (None, ()):
        return ""
    if isinstance(each.default, bool):
        return "on" if each.default else "off"
    return f"`{each.default}`"


def _in_a_cell(each: Option) -> str:
    return " ".join(_NAMED.sub(r"`\1`", f"{each.words} {each.also}").replace("|", "\\|").split())


# -- rules


def anything(name: str, value: Any) -> Any:
    """No rule: another part looks at the value."""
    return value


def count(least: int = 1, most: int | None = MOST) -> Check:
    """A whole number in a range; None for no limit."""

    def check(name: str, value: Any) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            number = None
        if number is None or isinstance(value, bool) or number < least:
            raise OptionError(
                f"`{name}` must be a whole number of at least {least}; received {value!r}."
            )
        if most is not None and number > most:
            received = "more" if number > MOST**2 else f"{number:,}"
            raise OptionError(f"`{name}` is at most {most:,}; received {received}. Lower it.")
        return number

    return check


def time_in(unit: str) -> Check:
    """A time, in seconds or whatever the unit is."""

    def check(name: str, value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value < math.inf:
            raise OptionError(f"`{name}` is a number of {unit} above 0; received {value!r}.")
        return value

    return check


seconds: Final = time_in("seconds")
minutes: Final = time_in("minutes")


def switch(name: str, value: Any) -> bool:
    """On or off."""
    if type(value).__name__ != "bool":  # Python's or NumPy's
        raise OptionError(f"`{name}` is True or False; received {value!r}.")
    return bool(value)


def word(name: str, value: Any) -> str:
    """A name, whatever it names."""
    if not isinstance(value, str):
        raise OptionError(f"`{name}` is a name; received {value!r}.")
    return value


def one_of(choices: Iterable[str] | Callable[[], Iterable[str]]) -> Check:
    """One of some words; a function that gives them is called when a value is checked."""

    def check(name: str, value: Any) -> str:
        allowed = tuple(choices() if callable(choices) else choices)
        if not isinstance(value, str) or value not in allowed:
            shown = " or ".join(allowed) if len(allowed) == 2 else f"one of {', '.join(allowed)}"
            raise OptionError(f"`{name}` is {shown}; received {value!r}.")
        return str(value)

    return check


def or_none(check: Check) -> Check:
    """A rule for what may also be None."""
    return lambda name, value: None if value is None else check(name, value)


def plain_values(name: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Names and values, those of NumPy as Python's own."""
    if value is not None and not isinstance(value, Mapping):
        raise OptionError(f"`{name}` is a dictionary of names and values; received {value!r}.")
    items = (value or {}).items()
    return {str(key): each.item() if hasattr(each, "item") else each for key, each in items}
