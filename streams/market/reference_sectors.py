"""Which sector a symbol belongs to: the list that is shipped (S&P 500), and the user's CATALYST_HOME/config/sectors.csv, which wins.

Both are CSV with the columns symbol and sector; lines that begin with # are left alone. The user's file may name any symbol and any sector.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

SHIPPED = Path(__file__).with_name("sectors_sp500.csv")
SHIPPED_SOURCE, USER_SOURCE = "/reference/sectors", "/user/sectors"


def path_of(home: Path) -> Path:
    """Where the user's own sectors are read from, if there are any."""
    return home / "config" / "sectors.csv"


def read_sectors(home: Path) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Sector and source by symbol, and what is wrong with the user's file, line by line; a line that is wrong is left out."""
    found, _ = parse(SHIPPED.read_text(encoding="utf-8").splitlines(), SHIPPED_SOURCE)
    file = path_of(home)
    try:
        own, wrong = parse(file.read_text(encoding="utf-8-sig").splitlines(), USER_SOURCE)
    except FileNotFoundError:
        return found, []
    except (OSError, UnicodeDecodeError) as error:
        return found, [f"{file} cannot be read: {error}"]
    return {**found, **own}, [f"{file} {what}" for what in wrong]


def parse(lines: Iterable[str], source: str) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Pure. The first line that is no comment names the columns."""
    found, wrong = dict[str, tuple[str, str]](), list[str]()
    columns: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in next(csv.reader([line]))]
        if not columns:
            columns = [field.lower() for field in fields]
            if not {"symbol", "sector"} <= set(columns):
                return {}, [f"line {number}: the first line must name the columns symbol and sector; it says {line.strip()!r}"]
            continue
        row = dict(zip(columns, fields, strict=False))
        symbol, sector = row.get("symbol", "").upper(), row.get("sector", "")
        if symbol and sector:
            found[symbol] = sector, source
        else:
            wrong.append(f"line {number}: symbol or sector is empty")
    return found, wrong
