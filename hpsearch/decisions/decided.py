"""``Decided``: all that was decided after a trial was selected, as the ledger holds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decided:
    """What was decided with the selected trial's out-of-fold predictions.

    Each field is the record of one decision, or None where it was not asked for.
    """
