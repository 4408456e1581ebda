"""Problem types: what each asks of a network, and what a space gets to see."""

from hpsearch.task.links import Link, PoissonOfLogs
from hpsearch.task.problems import (
    OF_NUMBERS,
    TASKS,
    Direction,
    Label,
    Problem,
    ProblemKind,
    Target,
    Task,
    from_thresholds,
    loss_sign,
)

__all__ = [
    "OF_NUMBERS",
    "TASKS",
    "Direction",
    "Label",
    "Link",
    "PoissonOfLogs",
    "Problem",
    "ProblemKind",
    "Target",
    "Task",
    "from_thresholds",
    "loss_sign",
]
