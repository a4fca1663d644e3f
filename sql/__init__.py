"""SQL as people read it: numbered migrations of what lasts, and the template of a read-model version with the views that show the live one."""

from importlib.resources import files


def read(name: str) -> str:
    """The text of one of our SQL files. Raises FileNotFoundError."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def names() -> list[str]:
    """All SQL files, by name."""
    return sorted(item.name for item in files(__name__).iterdir() if item.name.endswith(".sql"))
