"""Reasons for failures: one line that tells most, whatever the libraries put around it."""

import pytest

from hpsearch.engines.failures import TrainingFailedError, raise_if_out_of_memory, reason_of
from hpsearch.errors import SpaceError

KERAS = (
    "Exception encountered when calling Broken.call().\n\n\x1b[1mtoo narrow\x1b[0m\n\n"
    "Arguments received by Broken.call():\n  • training=True\n"
)
AUTOGRAPH = (
    'in user code:\n\n    File "x.py", line 3, in call  *\n        raise ValueError("no")\n\n'
    "    ValueError: no units\n"
)
GRAPH = (
    'Graph execution error:\n\nDetected at node matmul defined at:\n  File "x.py", line 3\n\n'
    "Matrix size-incompatible: [8,1], [8,1]\n\t [[{{node matmul}}]] [Op:__inference_7]\n"
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no units\nand more"), "ValueError: no units"),
        (KeyError(), "KeyError: "),
        (RuntimeError(KERAS), "RuntimeError: too narrow (in Broken.call())"),
        (RuntimeError(f"in user code:\n\n{KERAS}"), "RuntimeError: too narrow (in Broken.call())"),
        (ValueError(AUTOGRAPH), "ValueError: no units"),
        (ValueError(GRAPH), "ValueError: Matrix size-incompatible: [8,1], [8,1]"),
        (ValueError("in user code:"), "ValueError: in user code:"),
        (ValueError("Graph execution error:"), "ValueError: Graph execution error:"),
        (SpaceError("build raised\nhere"), "build raised here"),
        (TrainingFailedError("the training diverged"), "the training diverged"),
    ],
)
def test_a_reason_is_the_line_that_tells_most(error, reason):
    assert reason_of(error) == reason


class ResourceExhaustedError(Exception):
    """Called as TensorFlow's is."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ResourceExhaustedError("OOM when allocating tensor\nwith shape"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes."),
    ],
)
def test_lack_of_memory_is_no_failure_of_the_trial(error):
    with pytest.raises(MemoryError):
        raise_if_out_of_memory(error)
    raise_if_out_of_memory(ValueError("no units"))
