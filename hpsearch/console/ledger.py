"""The ledger on a terminal: what the winner's score is worth, in a few short tables.

A number that must not be used is struck through; where the terminal has no styles, it stands
between double tildes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hpsearch import words
from hpsearch.console.decided import decided_lines, decided_view

if TYPE_CHECKING:
    from hpsearch.ledger import Baseline, BiasCorrection, Ledger, LedgerWarning, Variance

_SOURCES: Final = {
    "nested": "from the nested search",
    "bias_corrected": "corrected for having been selected",
    "mean": "the mean over the folds, which having been selected flatters",
}
_VERDICTS: Final = {
    "within": "within what was promised",
    "better": "better than was promised",
    "worse": "worse than was promised",
}
_PARTS: Final = {"fold": "folds", "reshuffle": "reshuffles", "seed": "initial weights"}
_INDENT: Final = (0, 0, 0, 2)


@dataclass(frozen=True)
class _Bounds:
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LedgerView:
    """A ledger, laid out for a terminal of any width, with styles or without.

    Attributes
    ----------
    ledger : what is shown.
    metrics : every metric's mean over the folds.
    """

    ledger: Ledger
    metrics: Mapping[str, Any]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The parts that there are, an empty line between them."""
        parts = [
            self._head(),
            self._estimates(has_styles=console.color_system is not None),
            _choice(self.ledger),
            decided_view(self.ledger.decided),
            self._baselines(),
            _variance(self.ledger.variance),
            _warnings(self.ledger.warnings),
        ]
        shown = [part for part in parts if part is not None]
        for number, part in enumerate(shown):
            yield part
            if number < len(shown) - 1:
                yield ""

    def answer(self) -> RenderableType:
        """What to expect, against what, and what deserves attention; the rest is in the whole."""
        others = {n: v for n, v in self.metrics.items() if n != self.ledger.metric}
        also = ", ".join(f"{name} {words.score(value)}" for name, value in others.items())
        lines = [self._head(), *self._verdict()]
        lines += [Text(f"also: {also}", "dim")] if also else []
        lines += decided_lines(self.ledger.decided)
        parts = [self._baselines(), _warnings(self.ledger.warnings)]
        return Group(*lines, *(item for part in parts if part is not None for item in ("", part)))

    def _head(self) -> RenderableType:
        ledger, promise = self.ledger, self.ledger.promise
        bounds = self._interval(promise)
        return Text.assemble(
            (f"on new rows expect {ledger.metric} {self._number(promise.value)}", "bold"),
            f", {bounds}" if bounds else "",
            (f" ({self._source()})", "dim"),
        )

    def _source(self) -> str:
        """Where the promise comes from; with one completed trial nothing is known of the others."""
        ledger = self.ledger
        if ledger.promise.source == "bias_corrected" and ledger.bias_corrected.n_trials == 1:
            return "not corrected for the choice among trials: one was completed"
        return _SOURCES[ledger.promise.source]

    def _estimates(self, *, has_styles: bool) -> RenderableType:
        ledger, mean = self.ledger, self.ledger.mean
        table = _table("estimate", ledger.metric, "se", "95 % interval")
        shape = f"mean of {mean.n_repeats} x {mean.n_folds} folds"
        table.add_row(shape, *self._cells(mean.value, mean.corrected))
        if mean.naive.se is not None:
            cells = self._cells(mean.value, mean.naive)
            struck = [_struck(cell, has_styles) for cell in cells[1:]]
            table.add_row(Text("  as if folds were independent", "dim"), "", *struck)
        corrected = ledger.bias_corrected
        if corrected.value is not None:
            what = "trial and epoch" if corrected.of_epochs else "trial"
            what = "the epoch alone" if corrected.n_trials == 1 else what
            cells = [self._number(corrected.value), "", self._interval(corrected)]
            table.add_row(f"corrected for choosing {what}", *cells)
        if ledger.foldwise is not None:
            value = Text(self._number(ledger.foldwise.value), "dim")
            table.add_row(Text("  after Tibshirani & Tibshirani", "dim"), value, "", "")
        if (ensemble := ledger.decided.ensemble) is not None and ensemble.value is not None:
            cells = [self._number(ensemble.value), "", self._interval(ensemble)]
            table.add_row("mean of several networks, corrected", *cells)
        if ledger.nested is not None:
            cells = self._cells(ledger.nested.value, ledger.nested.corrected)
            n_outer = words.counted(len(ledger.nested.folds), "outer fold")
            table.add_row(f"nested in {n_outer}", *cells)
        if ledger.test is not None:
            test = ledger.test
            name = words.counted(test.n_rows, "test row")
            table.add_row(name, self._number(test.value), "", self._interval(test))
        return Group(table, *self._verdict(), *(Text(line, "dim") for line in self._remarks()))

    def _verdict(self) -> Iterator[Text]:
        test = self.ledger.test
        if test is not None and test.verdict in _VERDICTS:
            style = "yellow" if test.verdict == "worse" else "green"
            yield Text(f"The score on the test rows is {_VERDICTS[test.verdict]}.", style)

    def _baselines(self) -> RenderableType | None:
        ledger = self.ledger
        if not ledger.baselines:
            return None
        table = _table("baseline", f"{ledger.metric} ± se", "winner better by", "")
        left_out: dict[str, list[str]] = {}
        noted: dict[str, list[str]] = {}
        for baseline in ledger.baselines:
            if baseline.missing:
                left_out.setdefault(baseline.missing, []).append(baseline.label)
                continue
            for note in baseline.notes:
                noted.setdefault(note, []).append(baseline.label)
            value, error, _ = self._cells(baseline.value, baseline.corrected)
            bounds = self._interval(_Bounds(baseline.gain_low, baseline.gain_high))
            table.add_row(
                baseline.label,
                f"{value} ± {error}" if error else value,
                self._number(baseline.gain) + (f" ({bounds})" if bounds else ""),
                _said_of(baseline),
            )
        remarks = [f"{', '.join(who)}: {note}" for note, who in noted.items()]
        remarks += [f"{', '.join(who)} left out: {why}" for why, who in left_out.items()]
        lines = [Text(words.one_line(remark), "dim") for remark in remarks]
        lines = [*_against_the_best(ledger), *lines]
        return Group(table, *lines) if table.row_count else Group(*lines)

    @cached_property
    def _decimals(self) -> int:
        """All scores have the decimals that the corrected error of the mean calls for."""
        return words.decimals_for(self.ledger.mean.corrected.se, self.ledger.mean.value)

    def _number(self, value: Any) -> str:
        return words.fixed(value, self._decimals)

    def _interval(self, spread: Any) -> str:
        if spread.low is None or spread.high is None:
            return ""
        return f"{self._number(spread.low)} to {self._number(spread.high)}"

    def _cells(self, value: Any, spread: Any) -> list[str]:
        """A value, its error and its interval."""
        error = "" if spread.se is None else words.fixed(spread.se, self._decimals)
        return [self._number(value), error, self._interval(spread)]

    def _remarks(self) -> Iterator[str]:
        """How the correction was made, what it leaves out, and the other metrics."""
        test = self.ledger.test
        if test is not None and test.expected_low is not None and test.expected_high is not None:
            low, high = self._number(test.expected_low), self._number(test.expected_high)
            rows = words.counted(test.n_rows, "test row")
            yield f"Of {rows} a score from {low} to {high} was expected, which allows for " + (
                "their number."
                if self.ledger.promise.gain_of_rows is None
                else "their number, and for the rows that the folds did not train on."
            )
        yield from _how_corrected(self.ledger.bias_corrected)
        if self.ledger.nested is not None:
            inner = self._number(self.ledger.nested.inner)
            yield f"nested: inside the outer folds the winners scored {inner}"
        others = {n: v for n, v in self.metrics.items() if n != self.ledger.metric}
        test = self.ledger.test
        if others:
            yield "also: " + ", ".join(f"{n} {words.score(v)}" for n, v in others.items())
        if others and test is not None:
            on_test = ", ".join(f"{n} {words.score(test.metrics.get(n))}" for n in others)
            yield f"on the test rows: {on_test}"


def _how_corrected(corrected: BiasCorrection) -> Iterator[str]:
    if corrected.missing:
        yield f"no bias-corrected estimate: {corrected.missing}"
        return
    what = words.counted(corrected.n_trials, "trial")
    if corrected.of_epochs:
        what += f" x {words.counted(corrected.n_epochs, 'epoch')}"
    drawn = f"{corrected.n_rows:,} rows"
    if corrected.blocks != "rows":
        drawn += f", {corrected.blocks} together"
    skipped = f", {corrected.n_skipped} skipped" if corrected.n_skipped else ""
    yield (
        f"corrected by {corrected.n_bootstraps:,} bootstraps of {drawn}{skipped}; {what} (BBC-CV)"
    )
    yield from corrected.notes


def _choice(ledger: Ledger) -> RenderableType:
    choice = ledger.choice
    line = words.one_line(choice.reason)
    if choice.cost > 0:
        line += f" It costs {words.number(choice.cost, digits=2)} of {ledger.metric}."
    if choice.tolerance is not None and choice.n_completed > 1:
        raced = ledger.bias_corrected.n_trials > choice.n_completed
        noun = "completed trial" if raced else "trial"
        near = f"{choice.n_near} of {words.counted(choice.n_completed, noun)}"
        line += f" Within one standard error of the best: {near}."
    return Text(line)


def _against_the_best(ledger: Ledger) -> Iterator[Text]:
    """The verdict that counts, where several baselines could be the best."""
    best = ledger.best_baseline
    if best is not None and ledger.n_baselines > 1:
        said = _said_of(best).plain or "beaten"
        line = f"the best of {ledger.n_baselines}, {best.label}: {said}"
        yield Text(words.one_line(line), "green" if best.is_beaten else "yellow")


def _said_of(baseline: Baseline) -> Text:
    if baseline.is_beaten:
        return Text("")
    if baseline.gain is not None and baseline.gain > 0:
        return Text("may be chance", "yellow")
    return Text("not beaten", "yellow")


def _variance(variance: Variance | None) -> RenderableType | None:
    if variance is None:
        return None
    shares = ", ".join(
        f"{_PARTS.get(name, name)} {100 * share:.0f} %" for name, share in variance.shares.items()
    )
    several = len(variance.shares) > 1
    head = Text.assemble(("variance of the scores", "bold"), f"  {shares}" if several else "")
    return Group(head, Text(variance.advice), Text(variance.note, "dim"))


def _warnings(warnings: Sequence[LedgerWarning]) -> RenderableType | None:
    if not warnings:
        return None
    lines: list[RenderableType] = [Text("what to look at", "bold yellow")]
    for remedy, alike in groupby(warnings, key=lambda warning: warning.remedy):
        lines += [_bullet(Text(words.one_line(warning.text))) for warning in alike]
        lines.append(Padding(Text(words.one_line(remedy), "dim"), _INDENT))
    return Group(*lines)


def _bullet(text: Text) -> Table:
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=1)
    row.add_column()
    row.add_row(Text("!", "yellow"), text)
    return row


def _table(*heads: str) -> Table:
    """Columns with a bold head."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.show_header, table.header_style = True, "bold"
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _struck(text: str, has_styles: bool) -> Text:
    if not text:
        return Text("")
    return Text(text, "strike dim") if has_styles else Text(f"~~{text}~~")
