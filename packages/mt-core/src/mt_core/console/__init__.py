"""What a user sees: lines of the log, tables, and what is said of a failure."""

from mt_core.console.failures import exit_status, explain, is_out_of_memory
from mt_core.console.logs import logging_to, quiet_libraries
from mt_core.console.terminal import labelled, terminal_width, wrapped
