"""The learnt vocabulary: every word of the grammar is one token, and nothing is lost."""

import pytest
from transformers import CLIPTokenizer

from nodes.sdxl.tokenizer import make_tokenizers
from tools.train_nano.render.captions import vocabulary
from tools.train_nano.tokenizer import grammar_words, learn_merges, tokenizer_config


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return make_tokenizers(tokenizer_config())[0]


def test_each_word_is_one_token(tokenizer: CLIPTokenizer) -> None:
    words = grammar_words()
    assert {"hair", "background", "masterpiece", "girls", "close", "up"} <= set(words)
    assert [word for word in words if len(tokenizer.tokenize(word)) != 1] == []
    assert len({tokenizer.tokenize(word)[0] for word in words}) == len(words)


@pytest.mark.parametrize("tag", vocabulary())
def test_tags_come_back_as_they_went_in(tokenizer: CLIPTokenizer, tag: str) -> None:
    ids = tokenizer(tag).input_ids
    decoded = tokenizer.decode(ids, skip_special_tokens=True)
    assert decoded.replace(" ", "") == tag.replace(" ", "")


def test_unknown_words_fall_to_pieces_that_spell_them(tokenizer: CLIPTokenizer) -> None:
    pieces = tokenizer.tokenize("xylophone")
    assert len(pieces) > 1
    assert "".join(pieces).removesuffix("</w>") == "xylophone"


def test_merges_are_learnt_most_frequent_first() -> None:
    assert learn_merges(["hair", "chair", "pair"])[0] == ("i", "r</w>")
    assert learn_merges([]) == ()
    assert learn_merges(["a"]) == ()
