"""What is known of architectures without importing one: stage, capabilities, hypers.

``mt list``, ``describe``, ``new`` and ``conformance`` are here, each in a module that the command
line imports by itself.
"""

from mt_core.architectures.capability_check import check_capabilities, device_kind
from mt_core.architectures.capability_words import capability_words
from mt_core.architectures.installed import find_entry, load_architecture, people_of
from mt_core.architectures.lifecycle import check_removal, notice, stage_of
