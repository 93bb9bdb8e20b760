"""Run one command of a longer job: echo it, run it, note its wall time and peak memory.

python launch/step.py LOG NAME -- COMMAND ...
"""

from __future__ import annotations

import json
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    log, name, dashes, *command = sys.argv[1:]
    if dashes != "--" or not command:
        raise SystemExit(__doc__)
    print(f"\n$ {shlex.join(command)}", flush=True)
    started = time.monotonic()
    process = subprocess.Popen(command)
    # Ctrl-C reaches the command too: let it end in its own clean way, and wait for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = process.wait()
    minutes = (time.monotonic() - started) / 60
    # Linux counts ru_maxrss in KiB: the largest single process among the command and its children.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    if code == 0:
        with Path(log).open("a", encoding="utf-8") as out:
            out.write(json.dumps({"step": name, "minutes": round(minutes, 2), "peak_gib": round(peak, 2)}) + "\n")
        print(f"[{name}: {minutes:.1f} min, peak {peak:.1f} GiB]", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
