"""``mt doctor``: what is installed and how it is run, and what is wrong with either.

Imports are tried in a process of its own (``probe``), which they may well end.
"""

from mt_core.doctor.checks import report
