"""``mt doctor``: faults of an installation; imports are tried in a process of their own."""

from mt_core.doctor.checks import report
