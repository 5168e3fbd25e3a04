"""SchNet in a few lines: the example of an architecture on ``mt_shared.mlip``."""

from mt_schnet.__about__ import __version__
from mt_schnet.model import SchNet as __model__
from mt_schnet.model import SchNetTrainer as __trainer__

__authors__ = [("The mt developers <mt-developers@example.org>", "@mt-developers")]
__maintainers__ = __authors__
