"""What differs between two runs' files, so that a new column is told from a changed number.

Pure functions on the bytes of tables (CSV) and of documents (JSON). A difference is one of

- ``changed``: a number or a word is another one, or something is gone;
- ``added``: a file, a column or a key that was not there before;
- ``reworded``: a sentence for people is another one (a text with a space in a document, or a cell
  of the column ``error``), or the hash of a file that says nothing new where the file is compared.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

CHANGED, ADDED, REWORDED = "changed", "added", "reworded"
SENTENCES = {"error"}  # columns that hold text for people
ROW_NAMES = ("trial", "baseline", "row", "repeat", "fold", "epoch")
MOST_SHOWN = 40  # characters of a text


@dataclass(frozen=True)
class Difference:
    """One difference: its kind, the file, and what it is, for people."""

    kind: str
    file: str
    text: str

    def __str__(self):
        return f"{self.kind}: {self.file}{self.text and ', '}{self.text}"


def compare(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[Difference]:
    """All differences of two runs, each given as its files' bytes by name."""
    found = [Difference(CHANGED, name, "which is gone") for name in sorted(before.keys() - after)]
    found += [Difference(ADDED, name, "") for name in sorted(after.keys() - before)]
    for name in sorted(before.keys() & after):
        if before[name] != after[name]:
            compare_files = compare_documents if name.endswith(".json") else compare_tables
            found += compare_files(name, before[name].decode(), after[name].decode())
    return found


def compare_tables(name: str, before: str, after: str) -> list[Difference]:
    """Differences of two tables (CSV) whose bytes are not the same, column by column."""
    (old_names, old), (new_names, new) = read_table(before), read_table(after)
    found = [Difference(ADDED, name, f"column {c}") for c in new_names if c not in old_names]
    found += [
        Difference(CHANGED, name, f"column {c} is gone") for c in old_names if c not in new_names
    ]
    common = [c for c in old_names if c in new_names]
    if [c for c in new_names if c in old_names] != common:
        found.append(Difference(CHANGED, name, "the order of the columns"))
    if len(old) != len(new):
        return [*found, Difference(CHANGED, name, f"{len(old)} rows -> {len(new)} rows")]
    for column in common:
        cells = [(a[column], b[column]) for a, b in zip(old, new, strict=True)]
        if any(a != b for a, b in cells):
            kind = REWORDED if column in SENTENCES else CHANGED
            found.append(Difference(kind, name, f"column {column}: {first_of(cells, old)}"))
    return found or [Difference(CHANGED, name, "the form of its cells: quotes or line ends")]


def read_table(text: str) -> tuple[list[str], list[dict[str, str]]]:
    """Names of columns, and rows with their cells as text."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows = list(reader)
    return list(reader.fieldnames or ()), rows


def first_of(cells: Sequence[tuple[str, str]], rows: Sequence[Mapping[str, str]]) -> str:
    """How many cells of a column differ, by how much, and which comes first."""
    differing = [i for i, (a, b) in enumerate(cells) if a != b]
    first = differing[0]
    names = ", ".join(f"{name} {rows[first][name]}" for name in ROW_NAMES if name in rows[first])
    where = f"line {first + 2}" + (f" ({names})" if names else "")
    text = f"{len(differing)} of {len(cells)} cells, first in {where}: {arrow(*cells[first])}"
    sizes = [size for i in differing if (size := difference(*cells[i])) is not None]
    return f"{text}; by at most {max(sizes):.2g}" if sizes else text


def difference(before: str, after: str) -> float | None:
    """The absolute difference of two cells, where both are numbers."""
    try:
        return abs(float(after) - float(before))
    except ValueError:
        return None


def compare_documents(name: str, before: str, after: str) -> list[Difference]:
    """Differences of two JSON documents whose bytes are not the same, key by key."""
    pairs = differing("", json.loads(before), json.loads(after))
    found = [Difference(kind, name, f"key {text}") for kind, text in pairs]
    return found or [Difference(CHANGED, name, "its form: the order of keys, or spaces")]


def differing(path: str, before, after) -> Iterator[tuple[str, str]]:
    """Kind and text of each difference of two values; what is there on one side alone is one."""
    old, new = items_of(before), items_of(after)
    if type(before) is not type(after) or old is None or new is None:
        if is_other(before, after):
            is_reworded = is_for_people(before) and is_for_people(after)
            yield REWORDED if is_reworded else CHANGED, f"{path}: {arrow(before, after)}"
        return
    for key in {**old, **new}:
        inner = f"{path}{key}".removeprefix(".")
        if key not in old:
            yield ADDED, inner
        elif key not in new:
            yield CHANGED, f"{inner} is gone"
        else:
            yield from differing(inner, old[key], new[key])


def items_of(value) -> dict[str, object] | None:
    """Items of an object or a list by the ends of their paths; None for anything else.

    Those of a list are known by their ``code`` or ``name``, where they have one, so that an item
    more leaves the others where they are.
    """
    if isinstance(value, dict):
        return {f".{key}": item for key, item in value.items()}
    if not isinstance(value, list):
        return None
    counts, items = Counter(), {}
    for i, item in enumerate(value):
        named = item if isinstance(item, dict) else {}
        label = named.get("code") or named.get("name") or i
        counts[label] += 1
        again = f"#{counts[label]}" if counts[label] > 1 else ""
        items[f"[{label}{again}]"] = item
    return items


def is_other(before, after) -> bool:
    """Whether two leaves differ; 1, 1.0 and true do, although Python finds them equal."""
    return json.dumps(before) != json.dumps(after)


def is_for_people(value) -> bool:
    """Whether a leaf is a sentence, or a hash, rather than a name or a word with a meaning."""
    if not isinstance(value, str):
        return False
    return " " in value or not value or re.fullmatch("[0-9a-f]{64}", value) is not None


def arrow(before, after) -> str:
    """Two values side by side, long texts cut shortly before they begin to differ."""
    before, after = (v if isinstance(v, str) else json.dumps(v) for v in (before, after))
    pairs = enumerate(zip(before, after, strict=False))
    same = next((i for i, (a, b) in pairs if a != b), min(len(before), len(after)))
    start = max(0, same - MOST_SHOWN // 2)
    texts = [repr(text[start : start + MOST_SHOWN])[1:-1] for text in (before, after)]
    return " -> ".join(text or "nothing" for text in texts)
