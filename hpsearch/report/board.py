"""The leaderboard of many runs: what is known of each, and one HTML page of it.

Runs that can be compared stand in one group: the same metric on the same folds of the same rows.
Reading runs and comparing them belongs to ``hpsearch.results``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hpsearch import words
from hpsearch.report.blocks import Cell, Fact, Table, table_of
from hpsearch.report.material import bounds_of, cut, finite
from hpsearch.report.page import rendered

_MOST_NAMED: Final = 6


@dataclass(frozen=True)
class Standing:
    """A run in its group.

    Attributes
    ----------
    run : its folder, as it was given; report : its report, as a page links to it, or "".
    rank : its place in the group, from 1.
    score, se, low, high : of the selected trial: the mean of the folds, its corrected error and
        95 % interval; None where it is not known.
    expected, expected_low, expected_high : what to expect on new rows, as the run's ledger says.
    better_than, worse_than : ranks of the runs that it is told apart from.
    facts : what was searched and how, by name, for people.
    """

    run: str
    rank: int
    trial: int
    score: float
    se: float | None
    low: float | None
    high: float | None
    expected: float | None
    expected_low: float | None
    expected_high: float | None
    facts: Mapping[str, str]
    better_than: tuple[int, ...] = ()
    worse_than: tuple[int, ...] = ()
    report: str = ""

    @property
    def apart(self) -> str:
        """Which runs it is told apart from, in words."""
        parts = [
            f"{word} than {_named(ranks)}"
            for word, ranks in (("better", self.better_than), ("worse", self.worse_than))
            if ranks
        ]
        return "; ".join(parts) or "-"


def _named(ranks: Sequence[int]) -> str:
    shown = ", ".join(map(str, ranks[:_MOST_NAMED]))
    hidden = len(ranks) - _MOST_NAMED
    return f"{shown} and {hidden} more" if hidden > 0 else shown


@dataclass(frozen=True)
class Duel:
    """Two runs of a group, by rank, the better one first: the difference of their scores.

    Attributes
    ----------
    difference, low, high : of the first's mean less the second's, with its corrected 95 % interval.
    p_holm : of the corrected paired t-test, corrected by Holm (1979) for all pairs of the group.
    better, equal, worse : probabilities for the first, of the Bayesian correlated t-test.
    winner : the rank of the better one, where they are told apart: where the difference is more
        than chance, at 5 % for all pairs of the group.
    missing : why they were not compared, or "".
    """

    first: int
    second: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_holm: float | None = None
    better: float | None = None
    equal: float | None = None
    worse: float | None = None
    winner: int | None = None
    missing: str = ""


@dataclass(frozen=True)
class Group:
    """Runs that can be compared, the best first.

    Attributes
    ----------
    mark : a letter, which marks them wherever they are listed.
    data, metric, direction, folds : what they have in common, for people.
    duels : each pair, where there are several runs.
    """

    mark: str
    data: str
    metric: str
    direction: str
    folds: str
    standings: tuple[Standing, ...]
    duels: tuple[Duel, ...] = ()

    @property
    def title(self) -> str:
        """What they have in common, in one line."""
        better = "lower" if self.direction == "min" else "higher"
        return f"{self.data}: {self.metric} ({better} is better), {self.folds}"


def board_html(
    groups: Sequence[Group], left_out: Sequence[tuple[str, str]], *, version: str = ""
) -> str:
    """The leaderboard as one self-contained HTML page.

    Parameters
    ----------
    groups : the runs; left_out : folders that are no finished runs, with the reasons.
    version : of hpsearch, for the page's foot.
    """
    return rendered(
        "board.html",
        script="board.js",
        facts=_facts(groups, left_out),
        columns=_COLUMNS,
        rows=list(_rows(groups)),
        groups=[_section(group) for group in groups if len(group.standings) > 1],
        left_out=left_out,
        version=version,
    )


_COLUMNS: Final = (
    # name, whether numbers, and the name of its filter
    ("group", False, "Group"),
    ("rank", True, ""),
    ("run", False, ""),
    ("mean ± se", True, ""),
    ("95 % interval", False, ""),
    ("on new rows", True, ""),
    ("told apart", False, ""),
    ("data", False, "Data"),
    ("metric", False, "Metric"),
    ("space", False, "Space"),
    ("oracle", False, "Oracle"),
    ("folds", False, ""),
    ("trials", True, ""),
    ("parameters", True, ""),
)


def _facts(groups: Sequence[Group], left_out: Sequence[Any]) -> list[Fact]:
    n_runs = sum(len(group.standings) for group in groups)
    n_apart = sum(duel.winner is not None for group in groups for duel in group.duels)
    n_pairs = sum(len(group.duels) for group in groups)
    facts = [
        Fact("runs", f"{n_runs:,}", f"on {words.counted(len({g.data for g in groups}), 'table')}"),
        Fact("groups", f"{len(groups):,}", "of one metric on the same folds of the same rows"),
        Fact("pairs told apart", f"{n_apart:,} of {n_pairs:,}", "at 5 % for all of a group"),
    ]
    if left_out:
        facts.append(Fact("left out", f"{len(left_out):,}", "no finished run, see below"))
    return facts


def _rows(groups: Sequence[Group]) -> Iterator[tuple[Standing, tuple[Cell, ...]]]:
    place = 0
    for group in groups:
        limits = _limits(group)
        for one in group.standings:
            place += 1
            decimals = words.decimals_for(one.se, one.score)
            yield (
                one,
                (
                    Cell(group.mark, sort=float(place)),
                    Cell(str(one.rank), sort=float(one.rank)),
                    Cell(one.run),
                    Cell(words.score(one.score, one.se), sort=one.score),
                    Cell(_interval(one.low, one.high, decimals), bar=_bar(one, limits)),
                    Cell(_expected(one, decimals), sort=one.expected),
                    Cell(one.apart),
                    Cell(group.data),
                    Cell(group.metric),
                    Cell(one.facts.get("space", "")),
                    Cell(one.facts.get("oracle", "")),
                    Cell(one.facts.get("folds", "")),
                    Cell(one.facts.get("trials", "-"), sort=finite(one.facts.get("trials"))),
                    Cell(one.facts.get("parameters", "-"), sort=_count(one, "parameters")),
                ),
            )


def _count(one: Standing, name: str) -> float | None:
    return finite(one.facts.get(name, "").replace(",", ""))


def _interval(low: float | None, high: float | None, decimals: int) -> str:
    if low is None or high is None:
        return ""
    return f"{words.fixed(low, decimals)} to {words.fixed(high, decimals)}"


def _expected(one: Standing, decimals: int) -> str:
    if one.expected is None:
        return "-"
    ends = _interval(one.expected_low, one.expected_high, decimals)
    return words.fixed(one.expected, decimals) + (f" ({ends})" if ends else "")


def _limits(group: Group) -> tuple[float, float]:
    """The range of a group's intervals, for the bars in its rows."""
    ends = [end for one in group.standings for end in (one.low, one.score, one.high)]
    there = [end for end in ends if end is not None]
    return (min(there), max(there)) if there else (0.0, 1.0)


def _bar(one: Standing, limits: tuple[float, float]) -> tuple[float, float, float] | None:
    low, high = limits
    if one.low is None or one.high is None or high <= low:
        return None
    first, middle, last = ((end - low) / (high - low) for end in (one.low, one.score, one.high))
    return round(first, 4), round(middle, 4), round(last, 4)


def _section(group: Group) -> dict[str, Any]:
    """A group for the template: who is told apart from whom, and each pair in figures."""
    by_ranks = {(duel.first, duel.second): duel for duel in group.duels}
    ranked = [one.rank for one in group.standings if any(one.rank in pair for pair in by_ranks)]
    runs = {one.rank: one.run for one in group.standings}
    matrix = [
        (rank, runs[rank], [_verdict(by_ranks, rank, other) for other in ranked]) for rank in ranked
    ]
    n_apart = sum(duel.winner is not None for duel in group.duels)
    hidden = len(group.standings) - len(ranked)
    pairs = words.counted(len(group.duels), "pair")
    verb = "is" if n_apart == 1 else "are"
    lead = f"{n_apart} of {pairs} {verb} told apart."
    if hidden:
        lead += f" Only the best {len(ranked)} runs are compared in pairs; {hidden} more are not."
    return {
        "mark": group.mark,
        "title": group.title,
        "lead": lead,
        "ranked": ranked,
        "matrix": matrix,
        "pairs": _pairs_table(group, runs),
    }


def _verdict(duels: Mapping[tuple[int, int], Duel], rank: int, other: int) -> tuple[str, str]:
    """A word for the class of a cell, and its text."""
    if rank == other:
        return "self", ""
    duel = duels.get((min(rank, other), max(rank, other)))
    if duel is None or duel.p_holm is None:
        return "none", "not compared"
    p = "p < 0.001" if duel.p_holm < 0.001 else f"p {duel.p_holm:.3f}"
    if duel.winner is None:
        return "even", p
    word = "better" if duel.winner == rank else "worse"
    return word, f"{word}, {p}"


def _pairs_table(group: Group, runs: Mapping[int, str]) -> Table:
    rows = [_pair_cells(duel, runs) for duel in group.duels]
    head = ("first", "second", "first - second", "95 % interval", "p (Holm)")
    return table_of(
        f"Pairs of group {group.mark}", (*head, "better", "equal", "worse", "remark"), rows
    )


def _pair_cells(duel: Duel, runs: Mapping[int, str]) -> list[str | Cell]:
    names = [f"{rank}. {runs[rank]}" for rank in (duel.first, duel.second)]
    width = None if duel.low is None or duel.high is None else duel.high - duel.low
    shares = [
        Cell("-" if share is None else f"{100 * share:.1f} %", sort=share)
        for share in (duel.better, duel.equal, duel.worse)
    ]
    return [
        *names,
        Cell(words.within(duel.difference, width), sort=duel.difference),
        Cell(words.interval(duel.low, duel.high) or "-"),
        Cell("-" if duel.p_holm is None else f"{duel.p_holm:.3f}", sort=duel.p_holm),
        *shares,
        duel.missing,
    ]


def ends_of(metric: str, low: Any, high: Any) -> tuple[float | None, float | None]:
    """An interval's ends, cut where the metric ends."""
    bounds = bounds_of(metric)
    return cut(low, bounds), cut(high, bounds)
