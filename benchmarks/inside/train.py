"""Run ``mt train`` in this process, and say what it took.

Usage: ``python train.py OPTIONS [MORE FLAGS]``
"""

from __future__ import annotations

import json
import resource
import sys
import time

from mt_core.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["train"]
    started = time.perf_counter()
    status = main()
    seconds = time.perf_counter() - started
    # in kilobytes on Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak}), flush=True)
    sys.exit(status)
