"""A transformer's reading of texts: FinBERT or any other model that sorts texts into positive, neutral and negative.

Needs `pip install catalyst-trading[finbert]`: the tokenizer of `transformers`, and onnxruntime where the model has an .onnx file; where it has none,
torch, if that is installed. Imported and loaded only in the process that scores. A name that is no directory is taken for an id on the model hub, and
only then, because somebody configured it, is anything fetched. What it says is not promised to the bit: replay reads what was recorded.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.news.sentiment import LABELS, Reading, UnusableModel, reading_of

INSTALL = "pip install catalyst-trading[finbert]"
TOKENS = 512            # more is cut off: what BERT can hold
BATCH = 16              # texts at once
LONGEST = 20_000        # characters handed to the tokenizer: more than 512 tokens of any language, and a text of 1 MB costs nothing
GRAPHS = ("model.onnx", "onnx/model.onnx")                  # where a model keeps its graph, the first that is there
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
DESCRIBED = ("*.json", "vocab.txt", "merges.txt", "*.model")
MEANT = {"negative": "negative", "bearish": "negative", "neutral": "neutral", "positive": "positive", "bullish": "positive"}

Tokens = Mapping[str, npt.NDArray[np.int64]]
Graph = Callable[[Tokens], npt.NDArray[np.float32]]         # token arrays -> scores [texts, labels]


class FinBert:
    """A loaded model. `version` is the digest of its weights and configuration."""

    def __init__(self, directory: Path, name: str) -> None:
        """Raises UnusableModel."""
        transformers = _needed("transformers")
        try:
            config = transformers.AutoConfig.from_pretrained(directory, local_files_only=True)
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(directory, local_files_only=True)
        except (OSError, ValueError) as error:
            raise UnusableModel(f"{directory}: no configuration or tokenizer that transformers can read: {error}") from None
        self._columns = _columns(directory, config.id2label)
        weights, self._graph = _graph(directory)
        self.name = name
        self.version = _digest(weights, directory / "config.json")

    def read(self, texts: Sequence[str]) -> list[Reading]:
        readings = []
        for start in range(0, len(texts), BATCH):
            batch = [_encodable(text[:LONGEST]) for text in texts[start:start + BATCH]]
            tokens = self._tokenizer(batch, truncation=True, max_length=TOKENS, padding=True, return_tensors="np")
            scores = self._graph({name: np.asarray(tokens[name], dtype=np.int64) for name in tokens})
            readings += [reading_of([float(row[column]) for column in self._columns]) for row in scores]
        return readings


def load(name: str) -> FinBert:
    """The model in a directory, or of that id on the hub. Raises UnusableModel."""
    directory = Path(name).expanduser()
    if directory.is_dir():
        return FinBert(directory, directory.name)
    if name.startswith(("/", ".", "~")):
        raise UnusableModel(f"CATALYST_SENTIMENT_MODEL: {name} is no directory")
    return FinBert(_fetched(name), name)


def _fetched(name: str) -> Path:
    _needed("transformers")
    hub = _needed("huggingface_hub")
    weights = WEIGHTS if _torch() else ()
    try:
        return Path(hub.snapshot_download(name, allow_patterns=[*DESCRIBED, *GRAPHS, *weights]))
    except (OSError, ValueError) as error:      # no such model, no network: the hub's errors are these
        raise UnusableModel(f"CATALYST_SENTIMENT_MODEL: {name} is no directory here, and could not be fetched from the model hub: {error}") from None


def _graph(directory: Path) -> tuple[Path, Graph]:
    for path in (directory / graph for graph in GRAPHS):
        if path.is_file():
            return path, _onnx(path)
    for path in (directory / weights for weights in WEIGHTS):
        if path.is_file():
            if not _torch():
                raise UnusableModel(f"{directory}: has {path.name} but no {GRAPHS[0]}, and torch is not installed: export the model to ONNX, or install torch")
            return path, _with_torch(directory)
    raise UnusableModel(f"{directory}: holds no weights; one of {', '.join((*GRAPHS, *WEIGHTS))} is needed")


def _onnx(path: Path) -> Graph:
    runtime = _needed("onnxruntime")
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:      # noqa: BLE001  its errors have no common base but this one
        raise UnusableModel(f"{path}: onnxruntime cannot load it: {error}") from None
    wanted = [given.name for given in session.get_inputs()]

    def run(tokens: Tokens) -> npt.NDArray[np.float32]:
        scores: npt.NDArray[np.float32] = session.run(None, {name: tokens[name] for name in wanted})[0]
        return scores

    return run


def _with_torch(directory: Path) -> Graph:
    torch, transformers = _needed("torch"), _needed("transformers")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(directory, local_files_only=True).eval()

    def run(tokens: Tokens) -> npt.NDArray[np.float32]:
        with torch.no_grad():
            scores: npt.NDArray[np.float32] = model(**{name: torch.from_numpy(array) for name, array in tokens.items()}).logits.numpy()
        return scores

    return run


def _columns(directory: Path, id2label: Mapping[int, str]) -> list[int]:
    """Where each of LABELS stands in a row of scores."""
    columns = {MEANT.get(str(said).lower()): int(number) for number, said in id2label.items()}
    if set(columns) != set(LABELS) or len(id2label) != len(LABELS):
        raise UnusableModel(f"{directory}: sorts texts into {', '.join(map(str, id2label.values()))}; id2label in its config.json must name "
                            f"{', '.join(LABELS)}, each once")
    return [columns[label] for label in LABELS]


def _digest(*paths: Path) -> str:
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(file_digest(file, "sha256").digest())
    return sha256(b"".join(digests)).hexdigest()[:12]


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()     # half a surrogate pair stops a tokenizer


def _needed(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnusableModel(f"CATALYST_SENTIMENT_MODEL asks for a transformer model, but {module} is not installed ({error}): {INSTALL}") from None


def _torch() -> bool:
    return importlib.util.find_spec("torch") is not None
