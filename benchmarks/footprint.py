"""Resident memory of a program and of its workers, process by process and phase by phase.

What the memory benchmarks share. The measured program runs in a process of its own: it prints the
phase that begins (``mark``), and shows what a process takes that has imported everything and holds
no data (``show_footprints``). The other side (``watched``) samples all processes every few
milliseconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time

MB = 2**20
SECONDS_BETWEEN_SAMPLES = 0.005
SECONDS_BETWEEN_LOOKS = 0.2
FOOTPRINT = "footprint"


def mark(phase, **facts):
    """Say that a phase begins, and what is known by then; called by the measured program."""
    print(json.dumps({"phase": phase, "at": time.perf_counter(), **facts}), flush=True)


def show_footprints():
    """Start a worker, and end it when it has been looked at: all is imported, without data."""
    from hpsearch.engines.fused.engine import import_jax
    from hpsearch.engines.workers import WORKER_ENVIRONMENTS, LokyWorkers

    with LokyWorkers(1, import_jax, environment=WORKER_ENVIRONMENTS["jax"], pin=True) as workers:
        workers.call(os.getpid)
        mark(FOOTPRINT)
        time.sleep(4 * SECONDS_BETWEEN_LOOKS)


class Watch:
    """Peaks of a process and its children, and what it says.

    Attributes
    ----------
    peaks : bytes, by phase, role and process.
    said : by phase, what ``mark`` was given, with the time at which the phase began.
    """

    def __init__(self, process):
        import psutil

        self.peaks = {}
        self.said = {}
        self._psutil = psutil
        self._process = process
        self._phase = "imports"
        self._roles = {}
        self._looked = 0.0
        self._reader = threading.Thread(target=self._read_phases, daemon=True)
        self._reader.start()

    def run(self):
        """Sample until the process ends."""
        while self._process.poll() is None:
            if time.monotonic() - self._looked > SECONDS_BETWEEN_LOOKS:
                self._look_for_processes()
            for process, role in self._roles.items():
                self._sample(process, role)
            time.sleep(SECONDS_BETWEEN_SAMPLES)
        self._reader.join()

    def footprint(self, role):
        """What a process of a role takes before there are data."""
        [size] = self.peaks_of(role, FOOTPRINT)
        return size

    def peaks_of(self, role, *phases):
        """The peak of each process of a role over the given phases."""
        highest = {}
        for (phase, found, process), size in self.peaks.items():
            if found == role and phase in phases:
                highest[process] = max(size, highest.get(process, 0))
        return list(highest.values())

    def _read_phases(self):
        for line in self._process.stdout:
            if line.startswith('{"phase"'):
                said = json.loads(line)
                self._phase = said["phase"]
                self.said[self._phase] = said

    def _look_for_processes(self):
        self._looked = time.monotonic()
        try:
            parent = self._psutil.Process(self._process.pid)
            for process in [parent, *parent.children(recursive=True)]:
                if process not in self._roles:
                    self._roles[process] = self._role(process)
        except self._psutil.Error:
            return

    def _role(self, process):
        if process.pid == self._process.pid:
            return "parent"
        command = " ".join(process.cmdline())
        if "LokyProcess" in command:
            return "worker"
        return "reload check" if "reload_main" in command else "helper"

    def _sample(self, process, role):
        try:
            size = process.memory_info().rss
        except self._psutil.Error:
            return
        key = self._phase, role, process.pid
        self.peaks[key] = max(size, self.peaks.get(key, 0))


def watched(*arguments):
    """Run a Python program in a process of its own, with an empty compilation cache; its watch."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache, "KERAS_BACKEND": "numpy"}
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        watch = Watch(process)
        watch.run()
    if process.returncode:
        raise SystemExit(f"the search failed:\n{process.stderr.read()[-2000:]}")
    return watch
