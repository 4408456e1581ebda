"""Many runs side by side: read, put into groups that can be compared, and compared in pairs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from hpsearch import snippets, words
from hpsearch.errors import InputError, OptionError, StorageError
from hpsearch.metrics import direction_said
from hpsearch.report.board import Duel, Group, Standing, board_html, ends_of
from hpsearch.report.material import finite
from hpsearch.results.comparing import (
    TrialComparison,
    believed,
    compared_trials,
    folds_key,
    holm,
)
from hpsearch.results.files import write_atomically
from hpsearch.results.layout import REPORT
from hpsearch.results.run import Run
from hpsearch.stats import check_rope
from hpsearch.task import loss_sign
from hpsearch.versions import VERSION

if TYPE_CHECKING:
    import pandas as pd

LEVEL: Final = 0.05
"""Pairs whose p-value, corrected for all pairs of their group, is below this are told apart."""

_COLUMNS: Final = ("rank", "run", "mean ± se", "95 % interval", "on new rows", "told apart")

MOST_PAIRED: Final = 40
"""Runs of a group, the best ones, that are compared in pairs."""


@dataclass(frozen=True)
class Leaderboard:
    """Many runs, in groups that can be compared: one metric on the same folds of the same rows.

    Attributes
    ----------
    groups : the groups, those with the most runs first, their runs by rank.
    left_out : what is no finished run, or can't be believed, with the reasons.
    """

    groups: tuple[Group, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """A row for each run: its group, rank, scores, and the ranks that it is told apart from."""
        import pandas as pd

        rows = [
            {
                "group": group.mark,
                "rank": one.rank,
                "run": one.run,
                "data": group.data,
                "metric": group.metric,
                "score": one.score,
                "score_se": one.se,
                "ci_low": one.low,
                "ci_high": one.high,
                "expected": one.expected,
                "expected_low": one.expected_low,
                "expected_high": one.expected_high,
                "better_than": list(one.better_than),
                "worse_than": list(one.worse_than),
                **one.facts,
            }
            for group in self.groups
            for one in group.standings
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        lines = [
            f"  {group.mark} {one.rank:>3}  {words.score(one.score, one.se)}  {one.run}"
            for group in self.groups
            for one in group.standings
        ]
        return "\n".join(["Leaderboard", *lines])

    def _repr_html_(self) -> str:
        """The groups by rank, as a notebook shows them."""
        parts = []
        for group in self.groups:
            rows = [
                (
                    str(one.rank),
                    one.run,
                    words.score(one.score, one.se),
                    words.interval(one.low, one.high),
                    words.number(one.expected),
                    one.apart,
                )
                for one in group.standings
            ]
            title = f"{group.mark}  {group.title}"
            parts += [snippets.words(title), snippets.table(title, _COLUMNS, rows)]
        left_out = [f"{path}: {reason}" for path, reason in self.left_out]
        return snippets.shown("Leaderboard", *parts, snippets.listed("left out", left_out))

    def html(self, path: str | os.PathLike[str]) -> Path:
        """Write it as one HTML page that needs no network, and return the page's path.

        Runs' own reports, where they are there, are linked relative to the page. What is there is
        replaced.

        Raises
        ------
        StorageError
            The file can't be written.
        """
        target = Path(path)
        linked = tuple(_with_links(group, target.parent) for group in self.groups)
        page = board_html(linked, self.left_out, version=VERSION)
        try:
            write_atomically(target, page.encode("utf-8"))
        except OSError as error:
            raise StorageError(
                f"The leaderboard must be writable; {str(target)!r} is not "
                f"({error.strerror or error}). Choose another file."
            ) from error
        return target


def leaderboard(
    runs: Iterable[str | os.PathLike[str] | Run], *, rope: float | None = None
) -> Leaderboard:
    """Put many runs side by side, and compare those that can be compared in pairs.

    Each pair is compared as ``compare`` does; p-values are corrected by Holm (1979) for all pairs
    of a group, of which the best 40 runs are compared.

    Parameters
    ----------
    runs : folders of finished runs, or runs. What is no finished run, or was changed since it was
        written, is left out, and named with the reason.
    rope : the largest difference that does not matter, as in ``compare``.

    Raises
    ------
    InputError
        None of them is a finished run.
    OptionError
        ``rope`` is below 0.

    Examples
    --------
    >>> import hpsearch, pathlib
    >>> board = hpsearch.leaderboard(pathlib.Path("results").iterdir())  # doctest: +SKIP
    >>> board.table[["group", "rank", "run", "score"]]  # doctest: +SKIP
    """
    if rope is not None:
        check_rope(rope)
    if isinstance(runs, str | os.PathLike):
        raise OptionError(
            f"`runs` is a list of runs; received {os.fspath(runs)!r}. "
            "List its folders, for instance with pathlib.Path('results').iterdir()."
        )
    opened, left_out = _read(runs)
    if not opened:
        reasons = "; ".join(f"{path}: {reason}" for path, reason in left_out[:3])
        raise InputError(f"A leaderboard needs finished runs; received none. {reasons}".rstrip())
    by_key: dict[Any, list[tuple[str, Run]]] = {}
    for name, run in opened:
        by_key.setdefault((str(run.best["metric"]), folds_key(run)), []).append((name, run))
    ordered = sorted(by_key.values(), key=lambda found: (-len(found), found[0][0]))
    groups = tuple(
        _group(mark, found, rope) for mark, found in zip(_marks(), ordered, strict=False)
    )
    return Leaderboard(groups, tuple(left_out))


def _read(runs: Iterable[Any]) -> tuple[list[tuple[str, Run]], list[tuple[str, str]]]:
    """The runs that can be believed, each once, by name; and why others are left out."""
    found: dict[Path, tuple[str, Run]] = {}
    left_out = []
    for each in runs:
        path = each.path if isinstance(each, Run) else Path(each)
        try:
            run = believed(each)
            with run.reading():
                _score_of(run)
            found.setdefault(path.resolve(), (path.as_posix(), run))
        except InputError as error:
            left_out.append((path.as_posix(), str(error)))
    return list(found.values()), left_out


def _score_of(run: Run) -> float:
    score = finite(run.best.get("score"))
    if score is None:
        raise InputError("Its best.json has no score. Run the search again.")
    return score


def _marks() -> Iterator[str]:
    """A, B, ..., Z, AA, AB, ..."""
    for first in ("", *map(chr, range(65, 91))):
        for second in map(chr, range(65, 91)):
            yield first + second


def _group(mark: str, found: Sequence[tuple[str, Run]], rope: float | None) -> Group:
    first = found[0][1]
    metric = str(first.best["metric"])
    direction = direction_said(metric, first.best.get("direction"))
    ranked = sorted(found, key=lambda pair: loss_sign(direction) * _score_of(pair[1]))
    duels = _duels([run for _, run in ranked[:MOST_PAIRED]], rope)
    standings = []
    for rank, (name, run) in enumerate(ranked, start=1):
        won = tuple(_loser(duel) for duel in duels if duel.winner == rank)
        lost = tuple(
            duel.winner
            for duel in duels
            if duel.winner not in (None, rank) and rank in (duel.first, duel.second)
        )
        standing = _standing(name, rank, run, metric)
        standings.append(replace(standing, better_than=won, worse_than=lost))
    settings = first.settings
    return Group(
        mark=mark,
        data=str((settings.get("data") or {}).get("name")),
        metric=metric,
        direction=direction,
        folds=_folds_in_words(settings),
        standings=tuple(standings),
        duels=tuple(duels),
    )


def _loser(duel: Duel) -> int:
    return duel.second if duel.winner == duel.first else duel.first


def _folds_in_words(settings: Any) -> str:
    folds, seed = settings.get("folds"), settings.get("seed")
    split = settings.get("split")
    dealt = "" if split in (None, "auto") else f" ({split})"
    data = settings.get("data") or {}
    weighed = f", rows weigh by {data.get('weights')}" if data.get("score_weights") else ""
    return f"{words.counted(int(folds or 0), 'fold')} a repeat{dealt}, seed {seed}{weighed}"


def _standing(name: str, rank: int, run: Run, metric: str) -> Standing:
    best, settings = run.best, run.settings
    low, high = ends_of(metric, best.get("ci_low"), best.get("ci_high"))
    promise = None if run.ledger is None else run.ledger.promise
    expected = (None, None) if promise is None else ends_of(metric, promise.low, promise.high)
    facts = {
        "space": settings.get("space"),
        "oracle": settings.get("oracle"),
        "folds": f"{settings.get('repeats')} x {settings.get('folds')}",
        "trials": best.get("n_trials") or settings.get("trials"),
        "parameters": None if best.get("n_params") is None else f"{best['n_params']:,}",
    }
    return Standing(
        run=name,
        rank=rank,
        trial=int(best["trial"]),
        score=_score_of(run),
        se=finite(best.get("score_se")),
        low=low,
        high=high,
        expected=None if promise is None else finite(promise.value),
        expected_low=expected[0],
        expected_high=expected[1],
        facts={key: str(value) for key, value in facts.items() if value is not None},
        report=str(run.path.resolve() / REPORT) if (run.path / REPORT).is_file() else "",
    )


def _duels(runs: Sequence[Run], rope: float | None) -> list[Duel]:
    """Each pair, the better score first; p-values corrected for all of them."""
    made: dict[tuple[int, int], TrialComparison] = {}
    missing: dict[tuple[int, int], str] = {}
    for (i, a), (j, b) in combinations(enumerate(runs, start=1), 2):
        try:
            with a.reading(), b.reading():
                made[i, j] = compared_trials(a, int(a.best["trial"]), b, int(b.best["trial"]), rope)
        except InputError as error:
            missing[i, j] = str(error)
    corrected = holm([one.test.p_value for one in made.values()])
    duels = [_duel(pair, one, p) for (pair, one), p in zip(made.items(), corrected, strict=True)]
    duels += [Duel(i, j, missing=reason) for (i, j), reason in missing.items()]
    return sorted(duels, key=lambda duel: (duel.first, duel.second))


def _duel(pair: tuple[int, int], one: TrialComparison, p_holm: float) -> Duel:
    is_first_better = loss_sign(one.direction) * one.test.difference < 0
    winner = pair[0] if is_first_better else pair[1]
    chance = one.probability
    return Duel(
        *pair,
        difference=one.test.difference,
        low=finite(one.test.low),
        high=finite(one.test.high),
        p_holm=p_holm,
        better=chance.better,
        equal=chance.equal,
        worse=chance.worse,
        winner=winner if p_holm < LEVEL else None,
        missing=" ".join(one.notes),
    )


def _with_links(group: Group, folder: Path) -> Group:
    """The group with links to reports that lead there from a page in a folder."""
    return replace(
        group, standings=tuple(replace(s, report=_link(s.report, folder)) for s in group.standings)
    )


def _link(report: str, folder: Path) -> str:
    if not report:
        return ""
    try:
        return quote(Path(os.path.relpath(report, folder.resolve())).as_posix())
    except ValueError:  # on another drive
        return ""
