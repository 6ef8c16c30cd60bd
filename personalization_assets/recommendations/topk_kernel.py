"""The inner loops of `topk`, compiled by numba. Imported only where they are run."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

SEGMENT = 64
"""So many scores are compared with the threshold at once; most segments hold nothing of use"""

GENEROUS = 1.0 + 1e-9
"""Bounds are made larger by this, for the rounding of norms and sums of 64 bits"""

ROUNDING = 1.2e-7
"""Twice the relative rounding error of one 32-bit operation"""

UNDERFLOW = 4e-38
"""More than the absolute error of a 32-bit product that is too small to be held"""

OVERFLOW = 1e37
"""Where bounds are larger, sums of 32 bits may have become infinite on their way"""


def compiled(function: Callable[..., Any]) -> Any:
    """The function compiled without the interpreter's lock, kept on disk where that is possible.

    None of numba's fast maths: NaN and infinity behave as IEEE 754 says.
    """
    try:
        return njit(function, nogil=True, cache=True)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return njit(function, nogil=True)


@compiled
def exact(left, right):  # type: ignore[no-untyped-def]
    """Dot product of two vectors of 32 bits, summed in 64 bits in the order of `topk.dots`."""
    a = b = c = d = 0.0
    width = len(left)
    whole = width - width % 4
    for k in range(0, whole, 4):
        a += np.float64(left[k]) * np.float64(right[k])
        b += np.float64(left[k + 1]) * np.float64(right[k + 1])
        c += np.float64(left[k + 2]) * np.float64(right[k + 2])
        d += np.float64(left[k + 3]) * np.float64(right[k + 3])
    if whole < width:
        a += np.float64(left[whole]) * np.float64(right[whole])
    if whole + 1 < width:
        b += np.float64(left[whole + 1]) * np.float64(right[whole + 1])
    if whole + 2 < width:
        c += np.float64(left[whole + 2]) * np.float64(right[whole + 2])
    return np.float32((a + b) + (c + d))


@compiled
def holds(values, start, stop, wanted):  # type: ignore[no-untyped-def]
    """Whether values[start:stop], sorted, holds the wanted one."""
    while start < stop:
        middle = (start + stop) // 2
        if values[middle] < wanted:
            start = middle + 1
        elif values[middle] > wanted:
            stop = middle
        else:
            return True
    return False


@compiled
def insert(ids, scores, product, score):  # type: ignore[no-untyped-def]
    """Put a product into a list that is sorted by score and id, if it is better than the last."""
    place = len(ids) - 1
    if not (score > scores[place] or (score == scores[place] and product < ids[place])):
        return
    while place > 0 and (
        scores[place - 1] < score or (scores[place - 1] == score and ids[place - 1] > product)
    ):
        scores[place] = scores[place - 1]
        ids[place] = ids[place - 1]
        place -= 1
    scores[place] = score
    ids[place] = product


@compiled
def search(  # type: ignore[no-untyped-def]
    customers, first, last, group,
    products, blocks, norms, names,
    skip_start, skip_column, ids, scores,
):  # fmt: skip
    """Fill the lists of customers first..last, a group at a time.

    `products` are sorted by their norm, longest first; `blocks` holds them again as blocks of
    columns, `names` says which product each is.
    """
    count, width = products.shape
    size = blocks.shape[2]
    rough_buffer = np.empty(group * size, dtype=np.float32)
    packed = np.empty((group, width), dtype=np.float32)
    length = np.empty(group, dtype=np.float64)
    who = np.empty(group, dtype=np.int64)
    for start in range(first, last, group):
        # Customers of whom nothing is known get nothing.
        waiting = 0
        for row in range(start, min(last, start + group)):
            squares = 0.0
            for k in range(width):
                squares += np.float64(customers[row, k]) ** 2
            if squares != 0.0:
                packed[waiting] = customers[row]
                length[waiting] = np.sqrt(squares)
                who[waiting] = row
                waiting += 1
        for block in range(len(blocks)):
            begin = block * size
            # |score| <= |customer| |product|: who has n better ones already needs no more blocks.
            still = 0
            for a in range(waiting):
                if not (np.float32(length[a] * norms[begin] * GENEROUS) < scores[who[a], -1]):
                    if still < a:
                        packed[still] = packed[a]
                        length[still] = length[a]
                        who[still] = who[a]
                    still += 1
            waiting = still
            if waiting == 0:
                break
            rough = rough_buffer[: waiting * size].reshape(waiting, size)
            np.dot(packed[:waiting], blocks[block], rough)
            end = min(count, begin + size)
            for a in range(waiting):
                row = who[a]
                line = rough[a]
                # The matrix product rounds; whatever may reach the list by that is looked at.
                bound = length[a] * norms[begin]
                slack = ROUNDING * (width + 8) * bound + UNDERFLOW * width
                if not (bound < OVERFLOW):
                    slack = np.inf
                least = np.float32(scores[row, -1] - slack)
                for segment in range(begin, end, SEGMENT):
                    # A slice, since numba can compare its elements many at a time.
                    part = line[segment - begin : min(end, segment + SEGMENT) - begin]
                    some = False
                    for j in range(len(part)):
                        some |= not (part[j] < least)
                    if not some:
                        continue
                    for j in range(len(part)):
                        if part[j] < least:
                            continue
                        product = names[segment + j]
                        if holds(skip_column, skip_start[row], skip_start[row + 1], product):
                            continue
                        score = exact(customers[row], products[segment + j])
                        insert(ids[row], scores[row], product, score)
                        least = np.float32(scores[row, -1] - slack)
