"""Problem types: what each asks of a network, and what a space gets to see."""

from hpsearch.task.inputs import Input
from hpsearch.task.links import Link, PinballOfSteps, PoissonOfLogs
from hpsearch.task.problems import (
    OF_NUMBERS,
    OF_VALUES,
    TASKS,
    Direction,
    Label,
    Problem,
    ProblemKind,
    Quantiles,
    Target,
    Task,
    from_thresholds,
    loss_sign,
)

__all__ = [
    "OF_NUMBERS",
    "OF_VALUES",
    "TASKS",
    "Direction",
    "Input",
    "Label",
    "Link",
    "PinballOfSteps",
    "PoissonOfLogs",
    "Problem",
    "ProblemKind",
    "Quantiles",
    "Target",
    "Task",
    "from_thresholds",
    "loss_sign",
]
