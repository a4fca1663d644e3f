"""A transformer model: loaded by the real code, from a tiny one that the tests make. A tokenizer of ten words and a graph that adds up what each word says."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.settings import Settings
from streams.news import finbert
from streams.news.sentiment import UnusableModel, model_of

WORDS = {"[PAD]": (0, 0, 0), "[UNK]": (0, 0, 0), "[CLS]": (0, 0, 1), "[SEP]": (0, 0, 0), "[MASK]": (0, 0, 0),
         "gains": (3, 0, 0), "losses": (0, 3, 0), "report": (0, 0, 2), "up": (1, 0, 0), "down": (0, 1, 0)}
ID2LABEL = {"0": "Positive", "1": "Negative", "2": "Neutral"}       # another order than ours, as FinBERT has it


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a model in it."""
    for module in ("transformers", "onnxruntime", "onnx"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install catalyst-trading[finbert] onnx")
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save
    directory = tmp_path_factory.mktemp("model")
    (directory / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (directory / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": len(WORDS), "hidden_size": 4, "num_hidden_layers": 1,
                                                       "num_attention_heads": 1, "intermediate_size": 4, "id2label": ID2LABEL}))
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}))
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in ("input_ids", "attention_mask")]
    nodes = [helper.make_node("Gather", ["says", "input_ids"], ["each"]), helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
             helper.make_node("Unsqueeze", ["mask", "last"], ["column"]), helper.make_node("Mul", ["each", "column"], ["heard"]),
             helper.make_node("ReduceSum", ["heard", "middle"], ["logits"], keepdims=0)]
    constants = [numpy_helper.from_array(np.array(list(WORDS.values()), dtype=np.float32), "says"), numpy_helper.from_array(np.array([2]), "last"),
                 numpy_helper.from_array(np.array([1]), "middle")]
    graph = helper.make_graph(nodes, "tiny", given, [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])], constants)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(directory / "model.onnx"))
    return directory


def test_the_configured_directory_is_read_with_the_labels_it_names(made: Path):
    model = model_of(Settings(sentiment_model=str(made)))
    gains, losses, report = model.read(["Gains, up!", "losses", "report"])
    assert (gains.label, losses.label, report.label) == ("positive", "negative", "neutral")
    assert gains.sentiment > Decimal("0.9") > Decimal("-0.7") > losses.sentiment
    assert model.name == made.name and len(model.version) == 12


def test_a_text_reads_the_same_alone_and_among_many(made: Path):
    model = finbert.load(str(made))
    texts = ["gains", "losses down down", "report", ""] * finbert.BATCH
    readings = model.read(texts)
    assert len(readings) == len(texts)
    assert readings[:4] == [model.read([text])[0] for text in texts[:4]]
    assert model.read([]) == []


def test_what_is_longer_than_the_model_holds_is_cut_off(made: Path):
    model = finbert.load(str(made))
    (reading,) = model.read(["up " * 510 + "losses " * 400_000])
    assert reading.label == "positive"


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "🚀" * 100, "株価は急落した", "[SEP] [CLS] [PAD]"])
def test_any_text_gets_a_reading(made: Path, text: str):
    (reading,) = finbert.load(str(made)).read([text])
    assert sum(reading.probabilities) == 1


def test_other_weights_are_another_version(made: Path, tmp_path: Path):
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"id2label": {"0": "Negative", "1": "Positive", "2": "Neutral"}}))
    assert finbert.load(str(tmp_path)).version != finbert.load(str(made)).version


def test_labels_it_does_not_know_are_refused(made: Path, tmp_path: Path):
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((made / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}))
    with pytest.raises(UnusableModel, match=r"sorts texts into LABEL_0, .* must name negative, neutral, positive"):
        finbert.load(str(tmp_path))


def test_a_directory_without_weights_or_with_a_broken_graph_says_which(made: Path, tmp_path: Path):
    for file in made.iterdir():
        if file.suffix != ".onnx":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UnusableModel, match=r"holds no weights; one of model\.onnx, "):
        finbert.load(str(tmp_path))
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(UnusableModel, match=r"model\.onnx: onnxruntime cannot load it"):
        finbert.load(str(tmp_path))


@pytest.mark.skipif(finbert._torch(), reason="torch is installed here")
def test_weights_for_torch_alone_are_refused_without_torch(made: Path, tmp_path: Path):
    for file in made.iterdir():
        if file.suffix != ".onnx":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UnusableModel, match="torch is not installed: export the model to ONNX, or install torch"):
        finbert.load(str(tmp_path))


def test_a_path_that_is_no_directory_is_never_taken_for_a_name_on_the_hub(tmp_path: Path):
    with pytest.raises(UnusableModel, match="is no directory"):
        model_of(Settings(sentiment_model=str(tmp_path / "gone")))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(UnusableModel, match=r"transformers is not installed .*: pip install catalyst-trading\[finbert\]"):
        finbert.load(str(tmp_path))
    with pytest.raises(UnusableModel, match=r"pip install catalyst-trading\[finbert\]"):
        finbert.load("somebody/finbert")
