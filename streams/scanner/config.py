"""What the scanner asks, in figures: CATALYST_HOME/config/scanner.yaml, validated. The file that ships is printed from here (`publish`)."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

NAME = "scanner.yaml"
LEAST_UNIVERSE, MOST_UNIVERSE = 50, 200     # what a request may ask for

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=500)]
Hours = Annotated[float, Field(gt=0, le=96)]    # of news: so long they are kept, a long weekend


class BadConfig(ValueError):
    """The file cannot be used; the message says where and what to do. Nothing was changed."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)      # or a default 5 and a 5 that was read would have two digests


class Universe(_Part):
    """What is looked at at all."""

    size: Annotated[int, Field(ge=LEAST_UNIVERSE, le=MOST_UNIVERSE)] = Field(100, description="symbols kept, those with the most dollar volume")
    size_without_news: Annotated[int, Field(ge=10, le=MOST_UNIVERSE)] = Field(50, description="symbols kept while no news source answers")
    average_volume: float = Field(1_000_000, ge=0, description="shares a day, more than")
    price: float = Field(5, ge=0, description="USD, more than")
    news_hours: Hours = Field(24, description="hours since the last news, at most")
    news_hours_without_news: Hours = Field(72, description="the same while no news source answers")


class Catalyst(_Part):
    """Why it should move."""

    keep: Count = Field(35, description="symbols kept, those with the strongest catalyst")
    strength: Share = Field(0.7, description="more than")
    sentiment: Annotated[float, Field(ge=-1, le=1)] = Field(0.5, description="more than")


class Technical(_Part):
    """Whether it is moving, and not exhausted."""

    keep: Count = Field(20, description="symbols kept, those with the highest volume ratio")
    trend: float = Field(0, description="price over the 20-day mean, less 1: more than")
    rsi_least: Annotated[float, Field(ge=0, le=100)] = Field(40, description="at least")
    rsi_most: Annotated[float, Field(ge=0, le=100)] = Field(70, description="at most")
    volume_ratio: float = Field(1.5, ge=0, description="more than")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.rsi_least >= self.rsi_most:
            raise ValueError(f"rsi_least {self.rsi_least:g} must be below rsi_most {self.rsi_most:g}")
        return self


class Pattern(_Part):
    """Whether there is a place to enter and one to be wrong at."""

    keep: Count = Field(10, description="symbols kept, those with the highest confidence")
    confidence: Share = Field(0.7, description="more than")
    minutes: Annotated[int, Field(ge=0, le=390)] = Field(60, description="how long ago it may have been completed, if it still holds")


class Weights(_Part):
    """How much each part of the score counts; only their proportion matters."""

    catalyst: float = Field(0.30, ge=0, description="strength")
    technical: float = Field(0.20, ge=0, description="volume ratio (1 is nothing, 5 everything) and room to RSI 70 (30 points everything), in equal parts")
    pattern: float = Field(0.25, ge=0, description="confidence")
    liquidity: float = Field(0.10, ge=0, description="dollar volume (1 million a day is nothing, 1 billion everything, by its logarithm)")
    reward: float = Field(0.15, ge=0, description="reward to risk (1 is nothing, 4 everything)")

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if sum(dict(self).values()) <= 0:
            raise ValueError("one weight at least must be above 0")
        return self


class Ranking(_Part):
    """Which are the best."""

    keep: Count = Field(5, description="candidates")
    weights: Weights = Weights()


class ScannerConfig(_Part):
    """Every threshold of every stage."""

    universe: Universe = Universe()
    catalyst: Catalyst = Catalyst()
    technical: Technical = Technical()
    pattern: Pattern = Pattern()
    ranking: Ranking = Ranking()

    @property
    def digest(self) -> str:
        """The same for equal figures; stands in each scan.completed."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()[:16]


def path_of(home: Path) -> Path:
    """Where the user's file is."""
    return home / "config" / NAME


def ensure(home: Path) -> Path:
    """The user's file; the default one is put there when there is none. Never touches one that is there. Raises OSError."""
    path = path_of(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as new:
            new.write(render(ScannerConfig()))
    except FileExistsError:
        pass
    return path


def load(path: Path) -> ScannerConfig:
    """The configuration in the file; what it leaves out is as it ships, and so is all where there is no file. Raises BadConfig."""
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
        return ScannerConfig.model_validate(said or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadConfig(f"{path} cannot be read: {error}. The scanner goes on with what it had.") from None
    except ValidationError as errors:
        what = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']} (given: {one['input']!r})" for one in errors.errors())
        raise BadConfig(f"{path}: {what}. Nothing was changed.") from None


def render(config: ScannerConfig) -> str:
    """The file as it ships, a sentence to each figure."""
    lines = ["# What the scanner asks, stage by stage. Saved changes hold from the next minute on; a file with a mistake changes nothing.", ""]
    for name, part in config:
        lines += [f"# {type(part).__doc__}", f"{name}:", *_fields(part, "  "), ""]
    return "\n".join(lines)


def _fields(part: BaseModel, indent: str) -> list[str]:
    lines: list[str] = []
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if isinstance(value, BaseModel):
            lines += [f"{indent}# {type(value).__doc__}", f"{indent}{name}:", *_fields(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name}: {value:g}    # {field.description}" if value < 1e6 else f"{indent}{name}: {value:.0f}    # {field.description}")
    return lines
