"""Bytes and text, damaged: what a bad disk, a torn download or a wrong program leaves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.fuzzing.base import one_of

Rng = np.random.Generator

HOSTILE_CELLS = (
    *("", " ", "NA", "null", "-", "?", "nan", "inf", "-inf", "1e400", "1e-400", "-0", "007"),
    *(
        "1,5",
        "1.234,5",
        "1,234.5",
        "1 234",
        "−5",
        "(5)",
        "5 %",
        "$5",
        "5 kg",
        "1:30",
        "0x1F",
        "1_0",
    ),
    *("9" * 400, "9" * 5000, "1" + "0" * 350, "3.0", "+3", "1e3", "½", "٣", "Ⅷ", "1e", "e5", "."),
    *("true", "FALSE", "yes", "no", "T", "0", "1", "x", "yes ", " no", "Да"),
    *("2024-02-30", "2024-01-31", "31.01.2024", "1/2/21", "2024-01-31T25:00", "0000-00-00"),
    *("9999-12-31", "24:00", "12:30 PM", "2021-01-01 10:00 UTC", "10000-01-01", "Jan", "03.2021"),
    *('"', '""', "'", ",", ";", "\t", "\n", "\r", "a\nb", "\x0b", "\u2028", "=1+1", "@x", "a;=b"),
    *("\u200b", "\ufeff", "e\u0301", "\u202e", "🂡", "𝟙", "你好", "हिन्दी", "\x1b[2J", "\x07"),
    *("x" * 200_000, "word " * 3_000, "\\", "{}", "[1, 2]", "<NA>", "None", "#N/A"),
)
"""Cells that some table has somewhere."""

HOSTILE_NAMES = (
    "",
    " ",
    "y",
    "a",
    "a ",
    "\u200b",
    "1",
    "1.5",
    "x" * 3_000,
    "a,b",
    '"',
    "hp.x",
    "🂡",
)


def damaged(rng: Rng, raw: bytes) -> tuple[bytes, str]:
    """Some bytes with one to three damages, and which."""
    names = []
    for _ in range(int(rng.integers(1, 4))):
        name, damage = one_of(rng, _DAMAGES.items())
        raw = damage(rng, raw)
        names.append(name)
    return raw, " then ".join(names)


def _span(rng: Rng, raw: bytes, most: int = 64) -> tuple[int, int]:
    """A place in the bytes, and a short piece from there on."""
    first = int(rng.integers(len(raw) + 1))
    return first, min(len(raw), first + int(rng.integers(1, most + 1)))


def _cut(rng: Rng, raw: bytes) -> bytes:
    return raw[: int(rng.integers(len(raw) + 1))]


def _cut_end(rng: Rng, raw: bytes) -> bytes:
    return raw[: max(0, len(raw) - int(rng.integers(1, 20)))]


def _lose_beginning(rng: Rng, raw: bytes) -> bytes:
    return raw[int(rng.integers(len(raw) + 1)) :]


def _flip(rng: Rng, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(int(rng.integers(1, 9)) if raw else 0):
        changed[int(rng.integers(len(raw)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _splice(rng: Rng, raw: bytes) -> bytes:
    (first, last), (start, end) = _span(rng, raw), _span(rng, raw)
    return raw[:first] + raw[start:end] + raw[last:]


def _insert(rng: Rng, raw: bytes) -> bytes:
    first, _ = _span(rng, raw)
    return raw[:first] + rng.bytes(int(rng.integers(1, 17))) + raw[first:]


def _lose(rng: Rng, raw: bytes) -> bytes:
    first, last = _span(rng, raw)
    return raw[:first] + raw[last:]


def _repeat(rng: Rng, raw: bytes) -> bytes:
    first, last = _span(rng, raw)
    return raw[:last] + raw[first:last] * int(rng.integers(1, 50)) + raw[last:]


def _fill(rng: Rng, raw: bytes) -> bytes:
    first, last = _span(rng, raw)
    return raw[:first] + one_of(rng, (b"\0", b"\xff", b"\x80", b"\n")) * (last - first) + raw[last:]


def _number(rng: Rng, raw: bytes) -> bytes:
    """A whole number somewhere in the bytes becomes an extreme one."""
    size = one_of(rng, (1, 2, 4, 8))
    first, _ = _span(rng, raw)
    extreme = one_of(rng, (0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1))
    order = one_of(rng, ("little", "big"))
    return raw[:first] + extreme.to_bytes(size, order) + raw[first + size :]


_DAMAGES: dict[str, Callable[[Rng, bytes], bytes]] = {
    "cut": _cut,
    "cut at its end": _cut_end,
    "without its beginning": _lose_beginning,
    "bits flipped": _flip,
    "spliced": _splice,
    "bytes put in": _insert,
    "bytes lost": _lose,
    "bytes repeated": _repeat,
    "bytes filled": _fill,
    "a number made extreme": _number,
}
