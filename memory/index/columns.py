"""A numpy array that grows at its end, as `list.append` does: amortised constant time, contiguous when read."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)


class Column(Generic[Scalar]):
    """Rows of one dtype, each a scalar (`width=None`) or a vector of `width` values."""

    def __init__(self, dtype: type[Scalar], width: int | None = None) -> None:
        self._shape: tuple[int, ...] = () if width is None else (width,)
        self._rows: npt.NDArray[Scalar] = np.zeros((64, *self._shape), dtype=dtype)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def append(self, row: Any) -> None:
        """Add one row."""
        self.extend(np.asarray(row, dtype=self._rows.dtype).reshape((1, *self._shape)))

    def extend(self, rows: npt.NDArray[Any]) -> None:
        """Add rows, shape (n,) or (n, width)."""
        needed = self._used + len(rows)
        if needed > len(self._rows):
            grown = np.zeros((max(needed, 2 * len(self._rows)), *self._shape), dtype=self._rows.dtype)
            grown[: self._used] = self._rows[: self._used]
            self._rows = grown
        self._rows[self._used : needed] = rows
        self._used = needed

    @property
    def view(self) -> npt.NDArray[Scalar]:
        """The rows, without a copy; writing to it writes to the column. Stale once the column has grown."""
        return self._rows[: self._used]
