"""What a user sees of a run: the lines of the log, and what is said of a failure."""

from mt_core.console.failures import exit_status, explain, on_a_screen, reason
from mt_core.console.logs import logging_to, quiet_libraries
