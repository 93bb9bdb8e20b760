"""Contenders in processes of their own that make one step on command: interleaved timing, and each one's own peak memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any


class Finished(Exception):
    """The command to end, inside a contender's training loop."""


class Turns:
    """The contender's side: call `next` where each step begins; `facts` are sent along once, before the first step."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # what libraries print must not meet the figures
        self._started: tuple[float, float] | None = None
        self.facts: dict[str, Any] = {}

    def next(self) -> None:
        """Report the step that has just ended, and wait for the next command.

        Raises:
            Finished: there is no further step.
        """
        now = time.perf_counter(), time.process_time()
        if self._started is None:
            self._say(self.facts)
        else:
            self._say({"seconds": now[0] - self._started[0], "cpu_seconds": now[1] - self._started[1]})
        if sys.stdin.readline().strip() != "step":
            self._say({"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})
            raise Finished
        self._started = time.perf_counter(), time.process_time()

    def _say(self, figures: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(figures) + "\n")
        self._out.flush()


class Contender:
    """The other side: a process that waits for commands. `environment`: what it runs with unless ours says otherwise."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (it lives as long as the process)
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
            env={**(environment or {}), **os.environ},
        )  # fmt: skip
        self.facts = {**self._read(), "setup_seconds": time.perf_counter() - started}

    def step(self) -> dict[str, float]:
        return self._ask("step")

    def finish(self) -> float:
        """Ends the process. Peak resident memory in MiB."""
        peak = self._ask("end")["peak_mib"]
        self._close()
        return peak

    def _ask(self, command: str) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            said = self._log.read()[-3000:]
            self._close()
            raise RuntimeError(f"{self.name} ended with exit code {self._process.returncode}:\n{said}")
        figures: dict[str, Any] = json.loads(line)
        return figures

    def _close(self) -> None:
        self._process.communicate()
        self._log.close()
