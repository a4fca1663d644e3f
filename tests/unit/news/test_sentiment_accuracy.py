"""How well the embedded sentiment model reads texts it never saw: the first of the five folds, the whole table by `make bench-sentiment`."""

import os
from pathlib import Path

import pytest

FLOOR = 0.76        # macro-F1; five folds gave 0.793, TF-IDF and a linear model gives 0.745, the commonest label 0.262

pytest.importorskip("sklearn", reason="scikit-learn is not installed; it is among the dev dependencies")


@pytest.mark.skipif("CATALYST_TEST_DATA" not in os.environ, reason="CATALYST_TEST_DATA names no folder with sentiment_twitterfin")
def test_unseen_texts_are_read_well_enough():
    from sklearn.metrics import confusion_matrix, f1_score
    from sklearn.model_selection import StratifiedKFold

    from streams.news.sentiment import LABELS
    from streams.news.sentiment_training import FOLDS, SEED, ours, read_set

    texts, labels = read_set(Path(os.environ["CATALYST_TEST_DATA"]) / "sentiment_twitterfin")
    seen, unseen = next(iter(StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(texts, labels)))
    found = ours([texts[at] for at in seen], labels[seen], [texts[at] for at in unseen])
    reached = f1_score(labels[unseen], found, average="macro")
    print(f"macro-F1 {reached:.4f} on {len(unseen)} texts\n{LABELS}\n{confusion_matrix(labels[unseen], found)}")
    assert reached >= FLOOR
