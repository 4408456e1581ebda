"""What stands for workers where tasks run in the search's own process, of tests, kills and fuzz."""

from hpsearch.engines.workers import Begun


class MachinesHere:
    """Stands for ``Machines`` and ``Workers``: each task in this process, one after the other."""

    jobs = 1

    def __init__(self, *arguments):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def start(self, warm_up, **options):
        return self

    def fresh(self, warm_up, **options):
        return self

    def share(self, folder):
        return None

    def call(self, function, *arguments, limit=None):
        return function(*arguments)

    def begin(self, function, *arguments, limit=None):
        return Begun(lambda: True, lambda: function(*arguments))

    def copies(self, warm_up, timeout):
        return None

    def close(self, *, at_once):
        return None

    def map_unordered(self, function, tasks):
        return map(function, tasks)
