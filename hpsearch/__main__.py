"""The program ``hpsearch``, also as ``python -m hpsearch``: signals first, then what takes time."""

import gc
import os
import sys

OBJECTS_BETWEEN_LOOKS = 100_000
"""New objects before Python looks for garbage, 700 by default: imports make a million that stay,
and looking these through takes a quarter of their time."""


def main() -> int:
    """Run the command line on the words of this process; its exit code."""
    gc.set_threshold(OBJECTS_BETWEEN_LOOKS)
    try:
        from hpsearch.console import process
    except KeyboardInterrupt:  # in the moment before signals are seen to
        os.write(2, b"error: stopped by Ctrl-C.\n")
        return 130
    try:
        return process.run(_command)
    finally:
        gc.freeze()  # the end of a process needs no look for garbage, which takes a tenth of it


def _command() -> int:
    from hpsearch.system import signals_wait

    with signals_wait():
        from hpsearch.cli import invoke
    return invoke(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
