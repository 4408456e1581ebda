"""What people see on a terminal: progress while a search works, and views of what is there.

``observers`` shows a search while it works, ``views`` shows runs, data and spaces; what they show
comes in as an argument: they read no files, train nothing and decide nothing. ``process`` is the
command line's process: its signals, streams and exit codes. Nothing is imported here, since that
comes before all else.
"""
