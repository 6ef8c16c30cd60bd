"""The inner loop of item models, compiled by numba. Imported only where it is run."""

import numpy as np
from numba import njit, prange

BLOCK = 256
"""Rows that one task takes: its buffer of scores stays in the processor's cache"""


@njit(parallel=True, cache=True)
def best_of_rows(  # type: ignore[no-untyped-def]
    known_start, known_column, known_value,
    weight_start, weight_column, weight_value,
    skip_start, skip_column, allowed, ids, scores,
):  # fmt: skip
    """Write each row's best columns with a score above zero into `ids` and `scores`, best first."""
    rows, n = ids.shape
    products = len(allowed)
    for block in prange((rows + BLOCK - 1) // BLOCK):
        total = np.zeros(products, dtype=np.float32)
        seen = np.zeros(products, dtype=np.bool_)
        touched = np.empty(products, dtype=np.int32)
        for row in range(block * BLOCK, min(rows, (block + 1) * BLOCK)):
            count = 0
            for k in range(known_start[row], known_start[row + 1]):
                value = known_value[k]
                for j in range(weight_start[known_column[k]], weight_start[known_column[k] + 1]):
                    column = weight_column[j]
                    if not seen[column]:
                        seen[column] = True
                        touched[count] = column
                        count += 1
                    total[column] += value * weight_value[j]
            for k in range(skip_start[row], skip_start[row + 1]):
                total[skip_column[k]] = 0.0
            for t in range(count):
                column = touched[t]
                score = total[column]
                total[column] = 0.0
                seen[column] = False
                if not allowed[column] or not score > 0.0:
                    continue
                place = n - 1
                if score < scores[row, place] or (
                    score == scores[row, place] and column > ids[row, place]
                ):
                    continue
                while place > 0 and (
                    scores[row, place - 1] < score
                    or (scores[row, place - 1] == score and ids[row, place - 1] > column)
                ):
                    scores[row, place] = scores[row, place - 1]
                    ids[row, place] = ids[row, place - 1]
                    place -= 1
                scores[row, place] = score
                ids[row, place] = column
