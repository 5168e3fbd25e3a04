"""Text in columns."""

from collections.abc import Mapping, Sequence


def columns(
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    gap: str = "  ",
    widest: Mapping[int, int] | None = None,
) -> str:
    """Rows of as many cells each, one below the other.

    :param right: the columns whose cells are set to the right, as numbers are
    :param widest: of some columns the largest width; longer cells stick out of their column
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths = [min(width, (widest or {}).get(number, width)) for number, width in enumerate(widths)]
    return "\n".join(
        gap.join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
