"""Random hostile input, a module for each kind of it.

A kind is a module with ``attempt(rng, folder)``, which makes one input in an empty folder and gives
an ``Attempt``: what it is, and what tries it. To add one, write such a module and name it in
``KINDS``; ``benchmarks/fuzz.py`` and the tests run what stands there.
"""

from __future__ import annotations

from benchmarks.fuzzing import journals, models, options, results, spaces, tables

KINDS = {
    "tables": tables,
    "options": options,
    "results": results,
    "journals": journals,
    "models": models,
    "spaces": spaces,
}
