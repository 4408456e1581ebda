"""What a run was asked, as its journal keeps it, and what must be the same when it goes on.

Owns that record: making it, finding what changed since, and reading space, data and options out of
it. Going on itself is the search's own loop.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import count, zip_longest
from pathlib import Path
from typing import Any, Final

from hpsearch import options as rules
from hpsearch.data import Dataset, load
from hpsearch.data.fingerprint import fingerprint_of_weights
from hpsearch.errors import InputError, JournalError, OptionError
from hpsearch.options import Panel, Resumed
from hpsearch.oracles import check_oracle_growth
from hpsearch.paths import found_at
from hpsearch.results import forms
from hpsearch.results.journal import Journal
from hpsearch.search.budget import Budget, as_asked
from hpsearch.search.options import OPTIONS
from hpsearch.search.plan import SearchPlan, packages_of
from hpsearch.search.scored import record_of_own
from hpsearch.space.local_modules import LocalModule
from hpsearch.space.source import SpaceSource, read_text
from hpsearch.space.space import Space
from hpsearch.transformers import OwnTransformer
from hpsearch.versions import versions

Record = dict[str, Any]

GROWS: Final = tuple(each.name for each in OPTIONS if each.resumed is Resumed.GROWS)
DECIDED: Final = tuple(each.name for each in OPTIONS if each.panel is Panel.DECIDING)
MAY_CHANGE: Final = (*GROWS, *(o.name for o in OPTIONS if o.resumed is Resumed.CHANGES))


def record_of(plan: SearchPlan) -> Record:
    """What a search is asked, as JSON can hold it."""
    dataset, space, given = plan.source, plan.space, plan.options.test_data
    own = plan.options.preprocess
    return {
        "options": rules.recorded(plan.options),
        "budget": None if plan.budget is None else plan.budget.to_json(),
        "space": {**space.source.to_json(), "sha256": space.sha256},
        "own_metrics": record_of_own(plan.metrics),
        "preprocess": None if own is None else {**own.source.to_json(), "sha256": own.sha256},
        "data": {
            **_table(dataset),
            "source": dataset.origin.source if dataset.origin else None,
            "load": dataset.origin.options if dataset.origin else None,
        },
        "test": None if plan.test is None else _table(plan.test),
        "test_data": {
            "is_given": given is not None,
            "source": _whole_path(given) if isinstance(given, str | os.PathLike) else None,
        },
        "versions": versions(packages_of(plan.options)),
    }


def _table(dataset: Dataset) -> Record:
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "n_rows": dataset.n_rows,
        "n_columns": dataset.schema.n_features,
        "weights": fingerprint_of_weights(dataset),
    }


_TABLE: Final = forms.record(
    {
        **forms.each(forms.text, "name fingerprint source weights"),
        **forms.each(forms.count, "n_rows n_columns"),
        "load": forms.mapping(forms.anything),
    },
    needs=("name", "fingerprint", "n_rows", "n_columns"),
)
_CODE: Final = {
    **forms.each(forms.text, "name path text sha256 settings"),
    "is_object": forms.flag,
    "modules": forms.listed(
        forms.record(
            {**forms.each(forms.text, "name path text"), "is_package": forms.flag},
            needs=("name", "path", "text"),
        )
    ),
}
_SPACE: Final = forms.record(_CODE, needs=("name", "text", "sha256", "is_object"), has=("path",))
_METRIC: Final = forms.record(
    {**_CODE, "attribute": forms.text},
    needs=("name", "text", "sha256", "is_object", "modules", "attribute"),
    has=("path",),
)
_RECORD: Final = forms.record(
    {
        "options": forms.mapping(forms.anything),
        "space": _SPACE,
        "own_metrics": forms.mapping(_METRIC),
        "preprocess": _SPACE,
        "prepared": forms.listed(forms.count),
        "files": forms.mapping(forms.text),
        "data": _TABLE,
        "test": _TABLE,
        "test_data": forms.record(
            {"is_given": forms.flag, "source": forms.text}, needs=("is_given",)
        ),
        "versions": forms.mapping(forms.text),
        "engine": forms.text,
        "budget": forms.BUDGET,
    },
    needs=("options", "space", "data", "test_data", "versions", "engine"),
    has=("test",),
)


def recorded_in(journal: Journal) -> Record:
    """What a run was asked, as its journal says.

    Raises
    ------
    JournalError
        It says something that ``record_of`` doesn't.
    """
    was = journal.settings
    try:
        _RECORD(was, "")
    except ValueError as error:
        raise JournalError(
            f"A run is resumed by what its journal says of it; {str(journal.path)!r} says "
            f"something else: {error}. Run the search again with --overwrite."
        ) from error
    return was


def options_of(was: Record) -> dict[str, Any]:
    """The options that a run was asked; those that came later are as they were without them."""
    known = {each.name: each.before for each in OPTIONS if each.resumed.is_recorded}
    return {**known, **{name: v for name, v in was["options"].items() if name in known}}


def own_metrics_of(was: Record) -> dict[str, Record]:
    """The code of metrics of one's own by their names; older runs had none."""
    return was.get("own_metrics") or {}


def budget_of(was: Record) -> Budget | None:
    """The budget of time that a run had, if it had one."""
    return Budget.from_json(was.get("budget"))


def with_more_time(was: Record, given: Collection[str]) -> Record:
    """What a run was asked, before the end of its time made less of it.

    That is what counts where more minutes or trials are given; else it stays as it ended.
    """
    budget = budget_of(was)
    if budget is None or not {"minutes", "trials"} & {*given}:
        return was
    return {**was, "options": as_asked(options_of(was), budget)}


def _whole_path(path: Any) -> str:
    return str(Path(path).expanduser().resolve())


# -- what changed


def check_unchanged(was: Record, now: Record, *, accept_versions: bool) -> None:
    """Raise ``InputError`` where a run would go on under other conditions, naming them."""
    changes = [
        *_changed_table("the data", was["data"], now["data"]),
        *_changed_table("the test rows", was["test"], now["test"]),
        *_changed_space(was["space"], now["space"]),
        *_changed_metrics(own_metrics_of(was), own_metrics_of(now)),
        *_changed_transformer(was.get("preprocess"), now.get("preprocess")),
        *_changed_values("option ", options_of(was), now["options"], ignored=MAY_CHANGE),
    ]
    if "engine" in now:
        before, after = ({n: r.get(n) for n in ("engine", "prepared")} for r in (was, now))
        changes += _changed_values("", before, after)
        changes += _changed_files(was.get("files") or {}, now["files"])
    of_versions = _changed_values("version of ", was["versions"], now["versions"])
    if not changes and (accept_versions or not of_versions):
        return
    remedy = "Restore what changed, or run the search again with --overwrite."
    if not changes:
        remedy = (
            "Install what it began with, or add --accept-changes: later trials may then differ in "
            "their last digits from what one run would give."
        )
    raise InputError(
        "A run is resumed under the conditions that it began with; changed: "
        f"{'; '.join([*changes, *of_versions])}. {remedy}"
    )


def _changed_table(label: str, was: Record | None, now: Record | None) -> list[str]:
    if was is None or now is None:
        return [] if was is now else [f"{label}, {_given(was)}, now {_given(now)}"]
    if was["fingerprint"] == now["fingerprint"] and was["n_rows"] == now["n_rows"]:
        is_same = was.get("weights") == now.get("weights")
        return [] if is_same else [f"what rows of {label} weigh"]
    texts = [
        f"{t['n_rows']:,} rows, {t['n_columns']:,} columns, fingerprint {t['fingerprint'][:12]}"
        for t in (was, now)
    ]
    return [f"{label} ({texts[0]}; now {texts[1]})"]


def _given(table: Record | None) -> str:
    return "none" if table is None else "given"


def _changed_space(was: Record, now: Record) -> list[str]:
    if was["sha256"] == now["sha256"]:
        return []
    name = f"the space {now['name']!r}"
    changes = [
        f"Keras's settings where {name} was given ({was.get('settings') or 'the default ones'}; "
        f"now {now['settings'] or 'the default ones'})"
    ]
    changes = changes if was.get("settings", "") != now["settings"] else []
    return [*changes, *_changed_code(name, was, now)] or [name]


def _changed_metrics(was: Mapping[str, Record], now: Mapping[str, Record]) -> list[str]:
    """Metrics of one's own whose code differs; which ones there are is an option's matter."""
    changes = []
    for name in sorted(was.keys() & now.keys()):
        if was[name]["sha256"] != now[name]["sha256"]:
            words = f"the metric {name!r}"
            changes += _changed_code(words, was[name], now[name]) or [words]
    return changes


def _changed_transformer(was: Record | None, now: Record | None) -> list[str]:
    if was is None or now is None:
        return [] if was is now else [f"the transformer, {_given(was)}, now {_given(now)}"]
    if was["sha256"] == now["sha256"]:
        return []
    words = f"the transformer {now['name']!r}"
    return _changed_code(words, was, now) or [words]


def _changed_files(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Files that hyperparameters name, and that are others now, or gone; new ones may come."""
    gone = [f"the file {path!r}, which is gone" for path in was if path not in now]
    others = [
        f"what the file {path!r} holds" for path in was if now.get(path, was[path]) != was[path]
    ]
    return [*gone, *others]


def _changed_code(name: str, was: Record, now: Record) -> list[str]:
    """Where a source, or a module that it imports, differs."""
    changes = []
    if was["text"] != now["text"]:
        changes.append(f"the source of {name}{_from_line(was['text'], now['text'])}")
    before, after = _modules_of(was), _modules_of(now)
    for module in sorted(before.keys() | after.keys()):
        old, new = before.get(module), after.get(module)
        if old is None or new is None:
            verb = "is imported now" if new else "is imported no more"
            changes += [f"{m.words}, which {verb} by {name}" for m in (old, new) if m]
        elif old.text != new.text:
            changes.append(f"{new.words}, imported by {name}{_from_line(old.text, new.text)}")
    return changes


def _modules_of(space: Record) -> dict[str, LocalModule]:
    """The space's own modules by name; older runs recorded none."""
    modules = map(LocalModule.from_json, space.get("modules") or ())
    return {module.name: module for module in modules}


def _from_line(was: str, now: str) -> str:
    """Where two texts begin to differ, for a message."""
    lines = zip(count(1), zip_longest(was.splitlines(), now.splitlines()))
    line = next((number for number, (old, new) in lines if old != new), None)
    return "" if line is None else f", from line {line} on"


def _changed_values(
    label: str, was: Mapping[str, Any], now: Mapping[str, Any], ignored: tuple[str, ...] = ()
) -> list[str]:
    return [
        f"{label}{name} ({was.get(name)}; now {now.get(name)})"
        for name in sorted({*was, *now} - {*ignored})
        if was.get(name) != now.get(name)
    ]


def check_growth(was: Record, now: Record) -> None:
    """Raise ``OptionError`` where a run was to shrink, or to grow in a way that it cannot.

    Where its time ended, it has the trials that were started then.
    """
    old, new, budget = options_of(was), now["options"], budget_of(was)
    old = old if budget is None else {**old, "trials": max(1, budget.started)}
    for name in GROWS:
        if new[name] < old[name]:
            raise OptionError(
                f"A run only grows; it has {old[name]} {_words(name)}, received "
                f"--{name.replace('_', '-')} {new[name]}. "
                "Give a larger number, or run another search with --out."
            )
    if new["repeats"] > old["repeats"] and new["patience"] is not None:
        raise OptionError(
            "With --patience all folds of a trial stop together, so more repeats would change "
            f"what is recorded; received --repeats {new['repeats']} for a run of "
            f"{old['repeats']}. Run another search with --out."
        )
    check_oracle_growth(new["oracle"], repeats=(old["repeats"], new["repeats"]))


def _words(option: str) -> str:
    return {"max_repeats": "repeats at most"}.get(option, option)


def has_grown(was: Record, now: Record) -> bool:
    """Whether more trials or repeats are asked for, or again for what there was no time for.

    Or another decision: no trial is trained for it, but the books and the model say what it is. Or
    what is measured of the winner, and was not.
    """
    old, new = options_of(was), now["options"]
    is_more = any(old[name] != new[name] for name in (*GROWS, "until_decided", *DECIDED))
    return is_more or (new["importance"] and not old["importance"])


# -- what to go on with


def space_of(was: Record, given: Any) -> Space:
    """The space that a run began with: given again, or from its file, or as it was remembered.

    Raises
    ------
    InputError
        It was a Python object, which only Python can give again.
    """
    if given is not None:
        return Space.load(given)
    space = was["space"]
    if space["is_object"]:
        raise OptionError(
            f"The space {space['name']!r} of this run was given as a Python object, which no file "
            "holds. Resume it from Python: hpsearch.resume(path, space=...)."
        )
    remembered = tuple(_modules_of(space).values())
    if space["path"] is None or not Path(space["path"]).is_file():
        return Space(SpaceSource(space["name"], space["path"], space["text"], modules=remembered))
    now = read_text(space["path"])
    found = {module.name for module in now.modules}
    gone = [m for m in remembered if m.name not in found and not Path(m.path).exists()]
    modules = tuple(sorted((*now.modules, *gone), key=lambda module: module.name))
    return Space(replace(now, name=space["name"], modules=modules))


def transformer_of(was: Record, given: Any) -> Any:
    """The transformer that a run began with: given again, from its file, or as it was remembered.

    Raises
    ------
    OptionError
        It was a Python object, which only Python can give again.
    """
    own = was.get("preprocess")
    if given is not None or own is None:
        return given
    if own["is_object"]:
        raise OptionError(
            f"The transformer {own['name']!r} of this run was given as a Python object, which no "
            "file holds. Resume it from Python: hpsearch.resume(path, preprocess=...)."
        )
    if own["path"] is not None and Path(own["path"]).is_file():
        return own["path"]
    modules = tuple(_modules_of(own).values())
    return OwnTransformer(SpaceSource(own["name"], own["path"], own["text"], modules=modules))


def executed_of(was: Record, given: Any, transformer: Any = None) -> list[str]:
    """What Python executes in order to go on, a sentence each; without what people give.

    Parameters
    ----------
    given : the space that is given again, or None; transformer : likewise.
    """
    spaces = {} if given is not None else {f"space {was['space']['name']!r}": was["space"]}
    codes = spaces | {f"metric {name!r}": code for name, code in own_metrics_of(was).items()}
    if was.get("preprocess") and transformer is None:
        codes[f"transformer {was['preprocess']['name']!r}"] = was["preprocess"]
    return [
        f"The {words} is executed, from {_place_of(code['path'])}."
        for words, code in codes.items()
        if not code["is_object"]
    ]


def _place_of(path: str | None) -> str:
    return f"the file {path}" if path and Path(path).is_file() else "the run's journal"


def data_of(was: Record, given: Any) -> Dataset:
    """The table that a run began with, read again as it was.

    Parameters
    ----------
    given : a file or table to read instead, or a ``Dataset``; None for what the run began with.

    Raises
    ------
    InputError
        It was a table in memory, or its file is gone.
    """
    if isinstance(given, Dataset):
        return given
    data = was["data"]
    source = data.get("source") if given is None else given
    if data.get("load") is None or source is None:
        raise OptionError(
            f"The table {data['name']!r} of this run was in memory, not in a file. "
            "Resume it from Python: hpsearch.resume(path, data), with the Dataset."
        )
    is_file = isinstance(source, str) and (os.sep in source or Path(source).suffix != "")
    if given is None and is_file and found_at(Path(source)) is None:
        raise OptionError(
            f"A run is resumed with its data; {source!r} is not there any more. "
            "Say where it is with --data."
        )
    return load(source, **data["load"])


def test_data_of(was: Record, given: Any) -> Any:
    """The test rows that a run began with, as ``Search`` takes them."""
    test = was["test_data"]
    if given is not None or not test["is_given"]:
        return given
    if test.get("source") is None:
        raise OptionError(
            "The test rows of this run were in memory, not in a file. Resume it from Python: "
            "hpsearch.resume(path, test_data=...)."
        )
    return test["source"]
