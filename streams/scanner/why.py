"""Why a symbol was chosen or not: a look-up in one scan.completed, in words. Pure."""

from schemas.analysis import Figure, ScanCompleted


def why(scan: ScanCompleted, symbol: str) -> str:
    """One sentence: its rank and reasons, or the first stage and figure that left it out with the threshold, or that it was not known."""
    for candidate in scan.candidates:
        if candidate.symbol == symbol:
            figures = "; ".join(f"{stage}: {', '.join(map(_told, held))}" for stage, held in candidate.figures.items() if held)
            return f"{symbol} is candidate {candidate.rank} with score {candidate.score:.3f}. {figures}."
    for left in scan.left_out:
        if symbol in left.symbols:
            value = left.values[left.symbols.index(symbol)]
            was = "is not known" if value is None else f"was {value:g}"
            return f"{symbol} was left out at {left.stage}: {left.figure} {was}; {_asked(scan, left.stage, left.figure)}."
    return f"{symbol} was not looked at: no bar of it had been recorded by {scan.time:%H:%M} UTC."


def _told(figure: Figure) -> str:
    bounds = (("above", figure.above), ("at least", figure.least), ("at most", figure.most))
    asked = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
    return f"{figure.name} {'not known' if figure.value is None else f'{figure.value:g}'}{f' ({asked})' if asked else ''}"


def _asked(scan: ScanCompleted, stage: str, figure: str) -> str:
    """What the stage asked of this figure; of one without a bound, how many were kept by it."""
    result = next(one for one in scan.stages if one.name == stage)
    words = {"above": "more than", "least": "at least", "most": "at most"}
    asked = [f"{words[kind]} {bound:g}" for name, bound in result.thresholds.items() for column, _, kind in (name.rpartition(" "),) if column == figure]
    return f"{' and '.join(asked)} is asked" if asked else f"the {result.thresholds['keep']:g} with the most of it were kept"
