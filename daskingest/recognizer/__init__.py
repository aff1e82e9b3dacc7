"""The fast `ner`: a spaCy component that replaces a trained one and sets the same entities.

    nlp = spacy.load("en_core_web_sm")
    accelerate(nlp)

from then on `nlp` and `nlp.pipe` find the entities that they found before, several times as fast.

`component` is what spaCy sees. For each text, `embedding` looks its tokens up, `encoder` makes
their vectors, and `decoder` decides the entities, with the compiled loops of `kernels`. `finder`
does this without spaCy's objects, reading texts by `pieces`.
"""

from daskingest.recognizer.component import Recognizer, accelerate

__all__ = ["Recognizer", "accelerate"]
