"""What people see on a terminal: progress while a search works, and views of what is there.

``observers`` shows a search while it works, ``views`` shows runs, data and spaces, ``words``
turns single values into short text. Everything that is shown comes in as an argument: nothing
here reads files, trains or decides.
"""

from hpsearch.console.observers import LiveObserver, PlainObserver, QuietObserver, observer_for

__all__ = ["LiveObserver", "PlainObserver", "QuietObserver", "observer_for"]
