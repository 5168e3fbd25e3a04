"""The architecture my_network: say here in a line what it is."""

from mt_my_network.__about__ import __version__
from mt_my_network.model import MyNetworkModel as __model__
from mt_my_network.model import MyNetworkTrainer as __trainer__

__authors__ = [("Your Name <you@example.org>", "@you")]
__maintainers__ = __authors__

__all__ = ["__authors__", "__maintainers__", "__model__", "__trainer__", "__version__"]
