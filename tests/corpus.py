"""Where the messages and vectors that others wrote lie, beside the checkout; absent on users' machines."""

from pathlib import Path

import pytest

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"

needs_corpus = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="the corpus of others' messages is not beside the checkout"
)
