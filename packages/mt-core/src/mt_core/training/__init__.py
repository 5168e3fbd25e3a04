"""``mt train``: a run from its options to its delivery.

Where a training starts (anew, from its own checkpoint, from another model), the folder that it
writes, and what is said of the model at its end.
"""

from mt_core.training.training import train
