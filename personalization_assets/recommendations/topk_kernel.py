"""The inner loops of `topk`, compiled by numba. Imported only where they are run.

One file, since numba compiles anew when the file has changed and looks at no other.
"""

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from personalization_assets.recommendations.compiling import compiled

_FEATURES = binding.get_host_cpu_features()

LANES = 16 if _FEATURES.get("avx512f") else 8 if _FEATURES.get("avx") else 4
"""Numbers of 32 bits in one register"""

EIGHTS = bool(_FEATURES.get("avx512vnni"))
"""Whether rough scores are of codes of 8 bits, which such processors multiply four times as fast"""

CODE = np.int8 if EIGHTS else np.float32
"""What customers' factors are as codes; those of products are the same, without a sign"""

MIDDLE = 128
"""The code of 0 on the side of products"""

ROWS = 8 if LANES == 16 else 6
"""Customers at a time: with two registers of products for each, all sums stay in registers"""

WIDE = 2 * LANES
"""Products at a time"""

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


@intrinsic
def tile(typing, customers, products, out, width, stride):  # type: ignore[no-untyped-def]
    """Scores of ROWS customers for WIDE products, written to `out`, as instructions for LLVM.

    The shape that matrix libraries use inside (Goto and van de Geijn 2008): all sums stay in the
    processor's registers. Written out because the BLAS that comes with scipy knows few processors
    by name and runs on the others at half their speed, slower still for a handful of rows, and has
    threads of its own to be kept quiet.

    With codes of 8 bits the answer is four times as fast and only good for leaving products out,
    as in the quantised searches of ANN libraries; here the error is bounded and what is near the
    threshold scored again, so nothing is lost.

    `customers`, `products` and `out` are addresses of cells of 32 bits: ROWS x width, width x WIDE,
    and rows of which the first WIDE of `stride` are written. A cell of factors is one number, or
    four codes.
    """
    addresses = (types.intp, types.intp, types.intp)
    return types.void(*addresses, types.intp, types.intp), _instructions


def _instructions(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    customers, products, out, width, stride = args
    index, result = ir.IntType(64), ir.VectorType(ir.FloatType(), LANES)
    number = ir.IntType(32) if EIGHTS else ir.FloatType()
    vector = ir.VectorType(number, LANES)

    def added(total: Any, left: Any, right: Any) -> Any:
        if EIGHTS:
            name = "llvm.x86.avx512.vpdpbusd.512"
            kind = ir.FunctionType(vector, [vector] * 3)
            multiply = cgutils.get_or_insert_function(builder.module, kind, name)
            return builder.call(multiply, [total, right, left])
        # May be fused into one instruction, nothing else.
        product = builder.fmul(left, right, flags=("contract",))
        return builder.fadd(total, product, flags=("contract",))

    def at(start: Any, offset: Any, kind: Any) -> Any:
        """Pointer to the number at an offset."""
        return builder.inttoptr(
            builder.add(start, builder.mul(offset, index(4))), kind.as_pointer()
        )

    before, loop = builder.block, builder.append_basic_block("loop")
    after = builder.append_basic_block("after")
    builder.branch(loop)
    builder.position_at_end(loop)
    k = builder.phi(index)
    k.add_incoming(index(0), before)
    sums = [[builder.phi(vector) for _ in range(2)] for _ in range(ROWS)]
    start = builder.mul(k, index(WIDE))
    right = [
        builder.load(at(products, builder.add(start, index(half * LANES)), vector), align=4)
        for half in range(2)
    ]
    nothing, first = ir.Constant(vector, ir.Undefined), ir.VectorType(ir.IntType(32), LANES)(None)
    for row, pair in enumerate(sums):
        place = builder.add(builder.mul(width, index(row)), k)
        left = builder.load(at(customers, place, number), align=4)
        left = builder.insert_element(nothing, left, ir.IntType(32)(0))
        left = builder.shuffle_vector(left, nothing, first)
        for half, total in enumerate(pair):
            pair[half] = added(total, left, right[half])
            total.add_incoming(vector([0] * LANES), before)
            total.add_incoming(pair[half], loop)
    following = builder.add(k, index(1))
    k.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, width), loop, after)
    builder.position_at_end(after)
    for row, pair in enumerate(sums):
        for half, total in enumerate(pair):
            place = builder.add(builder.mul(stride, index(row)), index(half * LANES))
            score = builder.sitofp(total, result) if EIGHTS else total
            builder.store(score, at(out, place, result), align=4)
    return context.get_dummy_value()


def coded(products: Any, block: int) -> tuple[Any, Any, Any]:
    """What `tile` reads of products, and for each block of panels how exact that is.

    Panels are (panels, cells, WIDE) numbers, or (panels, cells, WIDE, 4) codes: the number over the
    block's unit, plus MIDDLE. The last panel is filled up. `units` are those of the blocks, `sums`
    their largest sum of absolute factors.
    """
    count, width = products.shape
    filled = np.zeros((-(-count // WIDE) * WIDE, -(-width // 4) * 4 if EIGHTS else width), "f4")
    filled[:count, :width] = np.nan_to_num(products)
    blocks = range(0, count, block * WIDE)
    units, sums = np.ones(len(blocks)), np.zeros(len(blocks))
    if not EIGHTS:
        cells = filled.reshape(-1, WIDE, filled.shape[1])
        return np.ascontiguousarray(cells.transpose(0, 2, 1)), units, sums
    codes: Any = np.empty(filled.shape, dtype=np.uint8)
    for b, start in enumerate(blocks):
        part = filled[start : start + block * WIDE].astype(np.float64)
        units[b] = np.abs(part).max() / 127 or 1.0
        sums[b] = np.abs(part).sum(axis=1).max()
        codes[start : start + block * WIDE] = np.rint(part / units[b]) + MIDDLE
    quads = codes.reshape(-1, WIDE, codes.shape[1] // 4, 4)
    return np.ascontiguousarray(quads.transpose(0, 2, 1, 3)), units, sums


@compiled
def exact(customers, row, products, place):  # type: ignore[no-untyped-def]
    """Dot product of a row of each, 32 bits, summed in 64 bits in the order of `topk.dots`."""
    a = b = c = d = 0.0
    width = customers.shape[1]
    whole = width - width % 4
    for k in range(0, whole, 4):
        a += np.float64(customers[row, k]) * np.float64(products[place, k])
        b += np.float64(customers[row, k + 1]) * np.float64(products[place, k + 1])
        c += np.float64(customers[row, k + 2]) * np.float64(products[place, k + 2])
        d += np.float64(customers[row, k + 3]) * np.float64(products[place, k + 3])
    if whole < width:
        a += np.float64(customers[row, whole]) * np.float64(products[place, whole])
    if whole + 1 < width:
        b += np.float64(customers[row, whole + 1]) * np.float64(products[place, whole + 1])
    if whole + 2 < width:
        c += np.float64(customers[row, whole + 2]) * np.float64(products[place, whole + 2])
    return np.float32((a + b) + (c + d))


@compiled
def holds(values, start, stop, wanted):  # type: ignore[no-untyped-def]
    """Whether values[start:stop], sorted, holds the wanted one."""
    end = stop
    while start < stop:
        middle = (start + stop) // 2
        if values[middle] < wanted:
            start = middle + 1
        else:
            stop = middle
    return start < end and values[start] == wanted


@compiled
def insert(ids, scores, row, product, score):  # type: ignore[no-untyped-def]
    """Put a product into a row sorted by score and id, if it is better than the last."""
    place = ids.shape[1] - 1
    if not (
        score > scores[row, place] or (score == scores[row, place] and product < ids[row, place])
    ):
        return
    while place > 0 and (
        scores[row, place - 1] < score
        or (scores[row, place - 1] == score and ids[row, place - 1] > product)
    ):
        scores[row, place] = scores[row, place - 1]
        ids[row, place] = ids[row, place - 1]
        place -= 1
    scores[row, place] = score
    ids[row, place] = product


@compiled
def reaches(line, start, stop, least):  # type: ignore[no-untyped-def]
    """Whether any of line[start:stop] is not below `least`. NaN is not."""
    some = False
    # Unsigned, since numba then need not ask whether j counts from the end, and takes many at once.
    for j in range(np.uintp(start), np.uintp(stop)):
        some |= not (line[j] < least)
    return some


@compiled
def search(  # type: ignore[no-untyped-def]
    customers, first, last, group,
    products, panels, block, units, sums, norms, names,
    skip_start, skip_column, ids, scores,
):  # fmt: skip
    """Fill the lists of customers first..last, a group at a time.

    `products` are sorted by their norm, longest first; `panels`, `units` and `sums` are of `coded`,
    `block` panels are gone through at a time, `names` says which product each is.
    """
    count, width = products.shape
    cells = panels.shape[1]
    size = block * WIDE
    rough = np.empty(ROWS * size, dtype=np.float32)
    codes = np.zeros((group + ROWS, panels[0, :, 0].size), dtype=CODE)
    # Of each customer who is not done: row, norm, unit of the codes, their sum and absolute sum.
    who = np.empty(group, dtype=np.int64)
    length = np.empty(group, dtype=np.float64)
    unit = np.empty(group, dtype=np.float64)
    total = np.empty(group, dtype=np.float64)
    absolute = np.empty(group, dtype=np.float64)
    # Addresses and indices, not slices: each slice would count references to its array.
    codes_at, rough_at = np.intp(codes.ctypes.data), np.intp(rough.ctypes.data)
    panels_at = np.intp(panels.ctypes.data)
    for start in range(first, last, group):
        # Customers of whom nothing is known get nothing.
        waiting = 0
        for row in range(start, min(last, start + group)):
            squares = largest = 0.0
            for k in range(width):
                squares += np.float64(customers[row, k]) ** 2
                largest = max(largest, abs(np.float64(customers[row, k])))
            if squares == 0.0:
                continue
            who[waiting] = row
            length[waiting] = np.sqrt(squares)
            unit[waiting] = largest / 127 if EIGHTS and length[waiting] < np.inf else 1.0
            total[waiting] = absolute[waiting] = 0.0
            # Without codes, if there is no end to them: then everything is looked at.
            for k in range(width if length[waiting] < np.inf else 0):
                code = customers[row, k] / unit[waiting]
                if EIGHTS:
                    code = np.rint(code)
                codes[waiting, k] = code
                total[waiting] += code
                absolute[waiting] += abs(code)
            waiting += 1
        for begin in range(0, count, size):
            # |score| <= |customer| |product|: who has n better ones already is done.
            still = 0
            for a in range(waiting):
                if not (np.float32(length[a] * norms[begin] * GENEROUS) < scores[who[a], -1]):
                    if still < a:
                        for k in range(codes.shape[1]):
                            codes[still, k] = codes[a, k]
                        who[still] = who[a]
                        length[still] = length[a]
                        unit[still] = unit[a]
                        total[still] = total[a]
                        absolute[still] = absolute[a]
                    still += 1
            waiting = still
            if waiting == 0:
                break
            end = min(count, begin + size)
            for top in range(0, waiting, ROWS):
                left = codes_at + 4 * top * cells
                for panel in range(begin // WIDE, (end + WIDE - 1) // WIDE):
                    right = panels_at + 4 * panel * cells * WIDE
                    tile(left, right, rough_at + 4 * (panel * WIDE - begin), cells, size)
                for a in range(top, min(top + ROWS, waiting)):
                    row = who[a]
                    # Rough scores round; whatever may reach the list by that is looked at.
                    bound = length[a] * norms[begin]
                    scale = unit[a] * units[begin // size]
                    slack = ROUNDING * (width + 8) * bound + UNDERFLOW * width
                    middle = 0.0
                    if EIGHTS:
                        # Half a unit for each code of the customer, and of the product.
                        slack += 0.5 * (unit[a] * sums[begin // size] + scale * absolute[a])
                        slack += scale * (2 + width / 64)
                        middle = MIDDLE * total[a]
                    if not (bound < OVERFLOW):
                        slack = np.inf
                    least = np.float32((scores[row, -1] - slack) / scale + middle)
                    shift = (a - top) * size - begin
                    for segment in range(begin, end, SEGMENT):
                        upto = min(end, segment + SEGMENT)
                        if not reaches(rough, shift + segment, shift + upto, least):
                            continue
                        for place in range(segment, upto):
                            if rough[shift + place] < least or holds(
                                skip_column, skip_start[row], skip_start[row + 1], names[place]
                            ):
                                continue
                            score = exact(customers, row, products, place)
                            insert(ids, scores, row, names[place], score)
                            least = np.float32((scores[row, -1] - slack) / scale + middle)
