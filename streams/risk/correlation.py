"""How alike two symbols move. Pure arithmetic on Decimals, so that a replay gives the same figure on every machine."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

EXACT = Context(prec=28, rounding=ROUND_HALF_EVEN)
FIGURES = Decimal("0.000001")


def pearson(one: Sequence[Decimal], other: Sequence[Decimal], least: int) -> Decimal | None:
    """Pearson's r over the common tail (both sequences end on the same day), six decimals, -1 to 1.

    None when fewer than `least` days are common; 0 when one of them never moved. r = cov(x, y) / sqrt(var(x) var(y)), Pearson 1895.
    """
    days = min(len(one), len(other))
    if days < max(least, 2):
        return None
    with localcontext(EXACT):
        left, right = _centred(one[-days:]), _centred(other[-days:])
        spread = sum(x * x for x in left) * sum(y * y for y in right)
        if not spread:
            return Decimal(0)
        r = sum(x * y for x, y in zip(left, right, strict=True)) / Decimal(spread).sqrt()
        return max(Decimal(-1), min(Decimal(1), r.quantize(FIGURES)))


def _centred(values: Sequence[Decimal]) -> list[Decimal]:
    mean = sum(values, Decimal(0)) / len(values)
    return [value - mean for value in values]
