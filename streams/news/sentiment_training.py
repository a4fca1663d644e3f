"""Trains the embedded sentiment model, and measures it. A development tool: needs scikit-learn; run it in a checkout.

    python -m streams.news.sentiment_training FOLDER            # five-fold cross-validation beside two others: the table
    python -m streams.news.sentiment_training FOLDER --write    # and trains on everything and writes models/sentiment/weights.npz

FOLDER holds sentences.csv.gz (`label,text`; bearish, neutral, bullish). Every fold is scored by the code that runs in production, its weights rounded
as shipped. Nothing of the texts is kept: what is written are weights of hash buckets.
"""

import csv
import gzip
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import click
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from streams.news.sentiment import LABELS, SIGN, Label, Linear, packed
from streams.news.sentiment_features import GROUPS, features, fingerprint

FOUND_IN_SET: dict[str, Label] = {"bearish": "negative", "neutral": "neutral", "bullish": "positive"}
FOLDS, SEED = 5, 1
BUCKETS = 1 << 17           # 2^16 .. 2^19 differ by 0.002 of macro-F1
SHARES = (0.8, 1.0, 1.2, 0.3)       # of GROUPS; without the leanings macro-F1 is 0.770
MARGIN = 0.4                # the machine's C; 0.25 .. 0.6 differ by 0.002
TEMPERATURES: list[float] = [step / 50 for step in range(5, 105)]
FILE = Path(__file__).parent / "models" / "sentiment" / "weights.npz"

Numbers = npt.NDArray[np.int64]
Predict = Callable[[Sequence[str], Numbers, Sequence[str]], Numbers]     # texts and labels to learn from, texts to label -> labels


def read_set(folder: Path) -> tuple[list[str], Numbers]:
    """Texts and their labels as positions in LABELS."""
    with gzip.open(folder / "sentences.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], np.array([LABELS.index(FOUND_IN_SET[row["label"]]) for row in rows])


def trained(texts: Sequence[str], labels: Numbers) -> Linear:
    """A linear support vector machine over the hashed features, classes weighted alike, weights rounded to a byte. Deterministic."""
    machine = LinearSVC(C=MARGIN, class_weight="balanced", dual=True, random_state=SEED).fit(_matrix(texts), labels)
    scale = float(np.abs(machine.coef_).max()) / 127
    weights = np.rint(machine.coef_.T / scale).astype(np.int8)
    return Linear(np.ascontiguousarray(weights), scale, SHARES, tuple(map(float, machine.intercept_)), 1.0, fingerprint())


def _matrix(texts: Sequence[str]) -> csr_matrix:
    columns, values, ends = [], [], [0]
    for text in texts:
        found = features(text)
        for group, share in zip(GROUPS, SHARES, strict=True):
            value = share / math.sqrt(len(found[group]) or 1)
            for hashed in sorted(found[group]):
                columns.append(hashed & (BUCKETS - 1))
                values.append(value if hashed & SIGN else -value)
        ends.append(len(columns))
    matrix = csr_matrix((values, columns, ends), shape=(len(texts), BUCKETS))
    matrix.sum_duplicates()
    return matrix


def cooled(scores: npt.NDArray[np.float64], labels: Numbers) -> float:
    """The temperature at which the probabilities of texts not learnt from are as sure as they are right, every class counting alike."""
    counts = np.bincount(labels, minlength=len(LABELS))

    def surprise(temperature: float) -> float:
        cold = scores / temperature
        cold = cold - cold.max(axis=1, keepdims=True)
        missed = np.log(np.exp(cold).sum(axis=1)) - cold[np.arange(len(labels)), labels]
        return float((missed / counts[labels]).sum())

    return min(TEMPERATURES, key=surprise)


def ours(texts: Sequence[str], labels: Numbers, unseen: Sequence[str]) -> Numbers:
    model = trained(texts, labels)
    return np.array([LABELS.index(reading.label) for reading in model.read(unseen)])


def plain(texts: Sequence[str], labels: Numbers, unseen: Sequence[str]) -> Numbers:
    """The textbook: TF-IDF of words and pairs, a linear support vector machine."""
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC(class_weight="balanced", random_state=SEED))
    return np.asarray(pipeline.fit(texts, labels).predict(unseen))


def majority(texts: Sequence[str], labels: Numbers, unseen: Sequence[str]) -> Numbers:
    return np.asarray(DummyClassifier().fit(texts, labels).predict(unseen))


CONTENDERS: dict[str, Predict] = {"the embedded model": ours, "TF-IDF and linear": plain, "always the commonest": majority}


def cross_validated(texts: Sequence[str], labels: Numbers, predict: Predict) -> Numbers:
    """A label for every text, by a model that never saw it."""
    found = np.zeros(len(texts), dtype=np.int64)
    for seen, unseen in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(texts, labels):
        found[unseen] = predict([texts[at] for at in seen], labels[seen], [texts[at] for at in unseen])
    return found


def out_of_fold(texts: Sequence[str], labels: Numbers) -> npt.NDArray[np.float64]:
    """The scores of every text by a model that never saw it."""
    scores = np.zeros((len(texts), len(LABELS)))
    for seen, unseen in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(texts, labels):
        model = trained([texts[at] for at in seen], labels[seen])
        scores[unseen] = [model.scores(texts[at]) for at in unseen]
    return scores


def table(texts: Sequence[str], labels: Numbers) -> str:
    """How each contender does, and where ours errs."""
    lines = [f"{FOLDS}-fold cross-validation, {len(texts):,} texts", "", "| model | macro-F1 | accuracy |", "|---|---|---|"]
    confused = None
    for name, predict in CONTENDERS.items():
        found = cross_validated(texts, labels, predict)
        lines.append(f"| {name} | {f1_score(labels, found, average='macro'):.4f} | {accuracy_score(labels, found):.4f} |")
        confused = confusion_matrix(labels, found) if predict is ours else confused
    lines += ["", "| labelled \\ read as | " + " | ".join(LABELS) + " |", "|---|---|---|---|"]
    assert confused is not None
    return "\n".join([*lines, *(f"| {label} | " + " | ".join(f"{count:,}" for count in row) + " |" for label, row in zip(LABELS, confused, strict=True))])


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--write", is_flag=True, help="Train on everything and write the shipped file.")
def main(folder: Path, write: bool) -> None:
    """Measure the embedded sentiment model on FOLDER/sentences.csv.gz."""
    texts, labels = read_set(folder)
    click.echo(table(texts, labels))
    model = trained(texts, labels)
    if write:
        model = replace(model, temperature=cooled(out_of_fold(texts, labels), labels))
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_bytes(packed(model))
        click.echo(f"\nwritten: {FILE.name} {FILE.stat().st_size:,} bytes, {model.name} {model.version}, temperature {model.temperature}")
    began = perf_counter()
    model.read(texts[:2000])
    click.echo(f"{(perf_counter() - began) / min(len(texts), 2000) * 1e6:.0f} us a text")


if __name__ == "__main__":
    sys.exit(main())
