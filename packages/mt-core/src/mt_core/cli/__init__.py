"""The command line: the parser, and what each command calls.

A command imports what it needs when it runs, past the doors of the other folders where they would
bring more: help and lists answer at once.
"""

from mt_core.cli.commands import main
