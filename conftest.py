"""Settings of all test runs in this repository."""

import os

# the workers of pytest are the parallel part; without this each would start a thread for every
# core. Set here, before anything imports torch, and inherited by the commands that tests run.
os.environ.setdefault("OMP_NUM_THREADS", "1")
