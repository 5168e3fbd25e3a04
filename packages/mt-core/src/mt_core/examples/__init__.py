"""``mt example``: options and data that are shipped, one folder an example, and their copies."""

from mt_core.examples.copies import copy, names
