"""How a text sounds: probabilities of positive, neutral and negative, and the one figure made of them. `model_of` gives the model that is configured.

The embedded model is shipped with the program and needs nothing else: hashed features, one whole number a feature and class, added up. It was trained by
`python -m streams.news.sentiment_training`; models/sentiment/README.md says on what, how well it does and what it can't do. It is pure, and its sums are
of whole numbers: equal texts give equal readings on every machine. A transformer model (FinBERT) is loaded by streams.news.finbert, only where asked for.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from schemas.settings import Settings
from streams.news.sentiment_features import GROUPS, features, fingerprint

Label = Literal["negative", "neutral", "positive"]
LABELS: tuple[Label, ...] = ("negative", "neutral", "positive")     # the order of every row of weights and probabilities
EMBEDDED = "embedded"
NAME = "catalyst-linear"
SIGN = 1 << 31                  # the bit of a feature's hash that turns its weight around, so that two in one bucket cancel rather than add up
PLACES = Decimal("0.0001")


class UnusableModel(RuntimeError):
    """A sentiment model cannot be used; the message says what is missing and what to do. Trying again changes nothing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model makes of one text."""

    probabilities: tuple[Decimal, Decimal, Decimal]     # as LABELS, to four places, 1 together

    @property
    def sentiment(self) -> Decimal:
        """-1..1: probability of positive less that of negative."""
        negative, _, positive = self.probabilities
        return positive - negative

    @property
    def label(self) -> Label:
        """The likeliest; of equals the calmer one."""
        likeliest = max(self.probabilities)
        return min((label for label, share in zip(LABELS, self.probabilities, strict=True) if share == likeliest), key=lambda label: label != "neutral")


class Model(Protocol):
    """Something that reads texts. `version` changes when what it says may change."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def read(self, texts: Sequence[str]) -> list[Reading]:
        """One reading a text, in order. Any text will do: empty, long, of another language."""
        ...


def model_of(settings: Settings) -> Model:
    """The configured model, loaded. Raises UnusableModel. Blocks: seconds for a transformer model, minutes where it has to be fetched first."""
    if settings.sentiment_model == EMBEDDED:
        return embedded()
    from streams.news.finbert import load  # here alone: nobody else pays for it

    return load(settings.sentiment_model)


def reading_of(scores: Sequence[float]) -> Reading:
    """The softmax of three scores, in the order of LABELS, as a reading."""
    highest = max(scores)
    shares = [math.exp(score - highest) for score in scores]
    negative, _, positive = (Decimal(share / sum(shares)).quantize(PLACES) for share in shares)
    return Reading((negative, max(Decimal(1) - negative - positive, Decimal(0)).quantize(PLACES), positive))


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """Weights by bucket and class, and how much each group of features counts."""

    weights: npt.NDArray[np.int8]           # [buckets, 3]; buckets are a power of two
    scale: float                            # of one unit of weight
    shares: tuple[float, ...]               # of each of GROUPS
    bias: tuple[float, ...]                 # of each class
    temperature: float                      # scores are divided by it: makes probabilities as sure as they are right
    made_by: str                            # fingerprint of the features it learnt with

    name = NAME

    @property
    def version(self) -> str:
        """The digest of everything that decides a reading."""
        rest = repr((self.weights.shape, self.scale, self.shares, self.bias, self.temperature, self.made_by))
        return "1-" + sha256(self.weights.tobytes() + rest.encode()).hexdigest()[:12]

    def read(self, texts: Sequence[str]) -> list[Reading]:
        return [reading_of([score / self.temperature for score in self.scores(text)]) for text in texts]

    def scores(self, text: str) -> list[float]:
        """How much speaks for each class."""
        scores = list(self.bias)
        found = features(text)
        for group, share in zip(GROUPS, self.shares, strict=True):
            hashes = found[group]
            if hashes:
                factor = self.scale * share / math.sqrt(len(hashes))
                scores = [score + factor * int(total) for score, total in zip(scores, self._total(hashes), strict=True)]
        return scores

    def _total(self, hashes: set[int]) -> npt.NDArray[np.int64]:
        hashed = np.fromiter(hashes, dtype=np.int64, count=len(hashes))     # whole numbers: the order of a set does not matter
        signs = np.where(hashed & SIGN, 1, -1)
        total: npt.NDArray[np.int64] = signs @ self.weights[hashed & (len(self.weights) - 1)].astype(np.int64)
        return total


def packed(model: Linear) -> bytes:
    """The model as a file."""
    file = io.BytesIO()
    np.savez_compressed(file, weights=model.weights, scale=model.scale, shares=model.shares, bias=model.bias, temperature=model.temperature,
                        made_by=np.array(model.made_by))
    return file.getvalue()


def unpacked(content: bytes) -> Linear:
    """The model in a file that `packed` made. Raises UnusableModel where it learnt with other features than these."""
    with np.load(io.BytesIO(content), allow_pickle=False) as kept:
        model = Linear(kept["weights"], float(kept["scale"]), tuple(map(float, kept["shares"])), tuple(map(float, kept["bias"])),
                       float(kept["temperature"]), str(kept["made_by"]))
    if model.made_by != fingerprint():
        raise UnusableModel("the embedded sentiment model was trained with other features or word lists than the program has now: "
                            "train it anew with `python -m streams.news.sentiment_training DATA --write`")
    return model


@lru_cache(maxsize=1)
def embedded() -> Linear:
    """The model that is shipped; read once a process."""
    return unpacked(files("streams.news").joinpath("models", "sentiment", "weights.npz").read_bytes())
