"""The fast `ner`: a spaCy component that replaces a trained one and sets the same entities.

    nlp = spacy.load("en_core_web_sm")
    accelerate(nlp)

From now on `nlp` and `nlp.pipe` find the same entities as before, several times as fast.

`component` is what spaCy sees. For each text, `embedding` looks up the tokens, `encoder` computes
their vectors, and `decoder` decides on the entities, using the compiled loops in `kernels`, and in
`amx` on processors that have it. What these are made of is in `vectors`.
`finder` does this without spaCy's objects, tokenizing texts with `pieces`, which `lookup` finds.
"""

from daskingest.recognizer.component import Recognizer, accelerate

__all__ = ["Recognizer", "accelerate"]
