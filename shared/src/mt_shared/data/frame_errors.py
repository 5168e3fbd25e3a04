"""How an error names the place of a fault in a data file."""

from mt_shared.errors import DataError


def frame_error(source: str, frame: int, what: str, todo: str) -> DataError:
    """An error about one frame: where, what was found and expected, what to do."""
    return DataError(f"{source}, frame {frame} (the first is 0): {what}; {todo}")
