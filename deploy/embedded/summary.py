"""What a run at full speed came to: written by the driver to HOME/run/summary.json, printed by `catalyst up`."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of one finished feed. Rows = bars + duplicate rows + rejected rows; what is named is not all of them, or no row: a whole file, say."""

    feed: str
    first: str                          # END of the first minute, UTC
    last: str
    symbols: int
    minutes: int
    rows_in_files: int
    bars_on_log: int                    # distinct
    duplicate_rows: int
    rejected_rows: int
    duplicates: list[dict[str, Any]]    # the first of them by name: file, line, symbol, minute
    rejected: list[dict[str, Any]]      # the first by name, and the files and columns that were left out: file, line, why
    commands: int
    orders: int
    fills: int
    seconds: float
    minutes_per_second: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def show(found: dict[str, Any]) -> str:
    """A few lines a person likes to read."""
    it = Summary(**found)
    complete = it.bars_on_log + it.duplicate_rows + it.rejected_rows == it.rows_in_files
    verdict = "every row of the feed is accounted for" if complete else "NOT every row of the feed is accounted for"
    lines = [
        "",
        f"{it.feed} has run through: {it.first} to {it.last}",
        f"  {it.minutes:>9,} minutes of {it.symbols} symbols in {it.seconds:.1f} s ({it.minutes_per_second:,.0f} minutes/s)",
        f"  {it.rows_in_files:>9,} rows in the feed",
        f"  {it.bars_on_log:>9,} bars on the log, {verdict}",
        f"  {it.duplicate_rows:>9,} duplicates" + _named(it.duplicates, "symbol", "minute"),
        f"  {it.rejected_rows:>9,} lines left out" + _named(it.rejected, "why"),
        f"  {it.commands:>9,} commands, {it.orders:,} orders, {it.fills:,} fills",
    ]
    return "\n".join(lines)


def _named(rows: list[dict[str, Any]], *what: str) -> str:
    shown = [f"{row['file']} line {row['line']:,}: {' '.join(str(row[name]) for name in what)}" for row in rows[:5]]
    more = [f"… and {len(rows) - 5:,} more in run/summary.json"] if len(rows) > 5 else []
    return "".join(f"\n{'':12}{line}" for line in (*shown, *more))
