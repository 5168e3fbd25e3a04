"""The words of users for the derivatives of an energy, and the names that models know them by.

=========== ============ =================================================
word        name         the label, by the derivative
=========== ============ =================================================
``forces``  positions    -dE/dr, (A, 3)
``stress``  strain       dE/d(strain) / volume, (S, 3, 3), in ASE's sign
``virial``  strain       -dE/d(strain), (S, 3, 3)
=========== ============ =================================================

A strain takes a position ``r`` to ``r + r strain``.
"""

GRADIENT_OF = {"forces": "positions", "stress": "strain", "virial": "strain"}
"""The derivative that a word stands for."""

WORD_OF = {"positions": "forces", "strain": "stress"}
"""The usual word for a derivative."""
