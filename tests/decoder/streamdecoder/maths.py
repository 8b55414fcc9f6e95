"""Functions that every decoder must compute to the same bit (section 1)."""

import math
import struct
from decimal import Decimal, localcontext
from functools import cache

# fdlibm's kernels, as FreeBSD's msun and musl have them.
C = (
    4.16666666666666019037e-02,
    -1.38888888888741095749e-03,
    2.48015872894767294178e-05,
    -2.75573143513906633035e-07,
    2.08757232129817482790e-09,
    -1.13596475577881948265e-11,
)
S = (
    -1.66666666666666324348e-01,
    8.33333333332248946124e-03,
    -1.98412698298579493134e-04,
    2.75573137070700676789e-06,
    -2.50507602534068634195e-08,
    1.58969099521155010221e-10,
)
# π/2 in parts of 33 bits, each with what it leaves.
HALF_PI = (
    (1.57079632673412561417e00, 6.07710050650619224932e-11),
    (6.07710050630396597660e-11, 2.02226624879595063154e-21),
    (2.02226624871116645580e-21, 8.47842766036889956997e-32),
)
INVERSE = 6.36619772367581382433e-01


def cosine_kernel(x: float, y: float) -> float:
    """The cosine of x + y, within ±π/4."""
    z = x * x
    w = z * z
    r = z * (C[0] + z * (C[1] + z * C[2])) + w * w * (C[3] + z * (C[4] + z * C[5]))
    half = 0.5 * z
    w = 1.0 - half
    return w + (((1.0 - w) - half) + (z * r - x * y))


def sine_kernel(x: float, y: float) -> float:
    """The sine of x + y, within ±π/4."""
    z = x * x
    w = z * z
    r = S[1] + z * (S[2] + z * S[3]) + z * w * (S[4] + z * S[5])
    v = z * x
    return x - ((z * (0.5 * y - v * r) - y) - v * S[0])


def high(x: float) -> int:
    """The upper half of a positive number's bits."""
    return struct.unpack("<Q", struct.pack("<d", x))[0] >> 32


def reduce(x: float) -> tuple[int, float, float]:
    """x as n·π/2 + y0 + y1, for π/4 < x < 2^20·π/2."""
    top = high(x)
    if top <= 0x401C463B and not ((top & 0xFFFFF) == 0x921FB or top == 0x4012D97C):
        n = 1 + (top > 0x4002D97C) + (top > 0x400F6A7A) + (top > 0x4015FDBC)
        part, rest = HALF_PI[0]
        z = x - n * part
        y0 = z - n * rest
        return n, y0, (z - y0) - n * rest
    turns = float(round(x * INVERSE))
    r = x - turns * HALF_PI[0][0]
    w = turns * HALF_PI[0][1]
    y0 = r - w
    exponent = top >> 20
    for (part, rest), most in zip(HALF_PI[1:], (16, 49), strict=True):
        if exponent - (high(abs(y0)) >> 20 & 0x7FF) <= most:
            break
        t = r
        w = turns * part
        r = t - w
        w = turns * rest - ((t - r) - w)
        y0 = r - w
    return int(turns), y0, (r - y0) - w


def cosine(x: float) -> float:
    """cos of a number from 0 to 1e6, to the bit as msun has it."""
    if x <= 0 or high(x) < 0x3E46A09E:
        return 1.0
    if high(x) <= 0x3FE921FB:
        return cosine_kernel(x, 0.0)
    n, y0, y1 = reduce(x)
    quarter = n & 3
    if quarter & 1:
        value = sine_kernel(y0, y1)
        return value if quarter == 3 else -value
    value = cosine_kernel(y0, y1)
    return value if quarter == 0 else -value


@cache
def fraction_of_octave(step: int) -> float:
    """2^(step / 256), the nearest f64, from decimal digits enough."""
    with localcontext() as context:
        context.prec = 50
        return float(Decimal(2) ** (Decimal(step) / 256))


def power_of_two(step: int) -> float:
    """2^(step / 256), the nearest f64."""
    return math.ldexp(fraction_of_octave(step % 256), step // 256)
