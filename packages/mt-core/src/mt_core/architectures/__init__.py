"""What is known of architectures without importing one: stage, capabilities, hypers.

``mt list``, ``describe``, ``new`` and ``conformance`` are here, each in a module that the command
line imports by itself.
"""

from mt_core.architectures.capability_check import check_capabilities, device_kind
from mt_core.architectures.capability_words import capability_words
from mt_core.architectures.lifecycle import check_removal, find_entry, first_party, notice, stage_of
