"""The inner loops of item models, compiled by numba. Imported only where they are run.

They let go of Python's lock and start no threads of their own: whoever calls them does, and several
may at once.
"""

import numpy as np

from personalization_assets.recommendations.compiling import compiled


@compiled
def _add(  # type: ignore[no-untyped-def]
    row, known_start, known_column, known_value,
    weight_start, weight_column, weight_value, total, seen, touched,
):  # fmt: skip
    """Scores of a row into `total`; returns how many columns were `touched`."""
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
    return count


@compiled
def best_of_rows(  # type: ignore[no-untyped-def]
    start, stop, known_start, known_column, known_value,
    weight_start, weight_column, weight_value,
    skip_start, skip_column, allowed, ids, scores,
):  # fmt: skip
    """Write each row's best columns with a score above zero into `ids` and `scores`, best first."""
    products = len(allowed)
    total = np.zeros(products, dtype=np.float32)
    seen = np.zeros(products, dtype=np.bool_)
    touched = np.empty(products, dtype=np.int32)
    for row in range(start, stop):
        count = _add(
            row, known_start, known_column, known_value,
            weight_start, weight_column, weight_value, total, seen, touched,
        )  # fmt: skip
        for k in range(skip_start[row], skip_start[row + 1]):
            total[skip_column[k]] = 0.0
        for t in range(count):
            column = touched[t]
            score = total[column]
            total[column] = 0.0
            seen[column] = False
            if not allowed[column] or not score > 0.0:
                continue
            place = ids.shape[1] - 1
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


@compiled
def scores_of_pairs(  # type: ignore[no-untyped-def]
    start, stop, known_start, known_column, known_value,
    weight_start, weight_column, weight_value, products,
    pair_start, pair_column, out,
):  # fmt: skip
    """Write the scores of chosen columns of each row into `out`, a place per pair."""
    total = np.zeros(products, dtype=np.float32)
    seen = np.zeros(products, dtype=np.bool_)
    touched = np.empty(products, dtype=np.int32)
    for row in range(start, stop):
        if pair_start[row] == pair_start[row + 1]:
            continue
        count = _add(
            row, known_start, known_column, known_value,
            weight_start, weight_column, weight_value, total, seen, touched,
        )  # fmt: skip
        for k in range(pair_start[row], pair_start[row + 1]):
            out[k] = total[pair_column[k]]
        for t in range(count):
            total[touched[t]] = 0.0
            seen[touched[t]] = False
