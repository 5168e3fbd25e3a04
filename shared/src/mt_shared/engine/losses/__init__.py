"""The losses that mt-shared itself registers, in the way in which any package registers one.

Each is an entry point of the group ``mt.losses`` in ``pyproject.toml``, a class that takes the
settings of the options as keyword arguments, and a JSON schema of these settings beside it.
"""
