"""The small CLIP: its tokenizer loses nothing, its loss is transformers' own, any prompt whatever can be read."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from transformers import CLIPTokenizer

from course import mini_clip, toy_zoo


@pytest.fixture(scope="module")
def tokenizer():
    rng = np.random.default_rng(0)
    return mini_clip.make_tokenizer([toy_zoo.caption(scene, rng) for scene in toy_zoo.TRAINING])


@pytest.fixture(scope="module")
def clip(tokenizer):
    torch.manual_seed(0)
    return mini_clip.make_clip(tokenizer).eval()


def test_captions_survive_the_tokenizer_word_by_word(tokenizer):
    rng = np.random.default_rng(1)
    for scene in toy_zoo.all_scenes():
        text = toy_zoo.caption(scene, rng, everything=True)
        ids = tokenizer(text).input_ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
        assert len(ids) == len(text.split()) + 2 <= mini_clip.CONTEXT


@pytest.mark.parametrize(
    "text", ["the quick brown fox jumps over the lazy dog", "zebra", "ärger", "5 giraffes", "日本"]
)
def test_unknown_words_survive(tokenizer, text):
    ids = tokenizer(text).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.eos_token_id not in ids[:-1]  # nothing was replaced by the unknown token


def test_capitals_do_not_matter(tokenizer):
    assert tokenizer("A DOG").input_ids == tokenizer("a dog").input_ids


def test_tokenizer_comes_back_from_its_folder(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = CLIPTokenizer.from_pretrained(tmp_path)
    text = "a drawing of a giraffe wearing a bow tie 🙂"
    assert again(text).input_ids == tokenizer(text).input_ids
    assert again.model_max_length == mini_clip.CONTEXT


def test_tokens_are_filled_up_and_long_prompts_are_cut_with_a_warning(tokenizer):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ids = mini_clip.tokens(tokenizer, ["a dog", ""])
    assert ids.shape == (2, 32)
    assert (ids[1, 1:] == tokenizer.eos_token_id).all()
    with pytest.warns(UserWarning, match="62 tokens, but 32 are read"):
        cut = mini_clip.tokens(tokenizer, ["a dog " * 30])
    assert cut.shape == (1, 32) and cut[0, -1] == tokenizer.eos_token_id


@pytest.mark.parametrize("texts, said", [
    ("a dog", r"write \['a dog'\]"), ([], "got none"), ([("a dog", "a cat")], "in it"), (["a dog", None], "None in it"), (3, "got 3"),
    ([["a dog"]], "in it"),
])  # fmt: skip
def test_only_lists_of_strings_are_texts(tokenizer, texts, said):
    """The tokenizer itself would join a pair to one text, silently."""
    with pytest.raises(ValueError, match=said):
        mini_clip.tokens(tokenizer, texts)


def test_texts_may_come_in_any_row(tokenizer):
    listed = mini_clip.tokens(tokenizer, ["a dog", "a cat"])
    for texts in (("a dog", "a cat"), np.array(["a dog", "a cat"]), (text for text in ["a dog", "a cat"])):
        assert torch.equal(mini_clip.tokens(tokenizer, texts), listed)


def test_contrastive_loss_is_that_of_transformers(clip, tokenizer):
    ids = mini_clip.tokens(tokenizer, ["a dog", "a cat with a hat", "a pizza"])
    pictures = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    theirs = clip(input_ids=ids, pixel_values=pictures, return_loss=True)
    ours = mini_clip.embed_images(clip, pictures), mini_clip.embed_texts(clip, ids)
    assert_close(ours[0], theirs.image_embeds)
    assert_close(ours[1], theirs.text_embeds)
    assert_close(mini_clip.contrastive_loss(*ours, clip.logit_scale.exp()), theirs.loss)


def test_cosines_are_the_scores_of_transformers_without_their_scale(clip, tokenizer):
    texts = ["a dog", "a pizza"]
    pictures = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    theirs = clip(input_ids=mini_clip.tokens(tokenizer, texts), pixel_values=pictures).logits_per_text
    assert_close(mini_clip.cosines(clip, tokenizer, texts, pictures), theirs / clip.logit_scale.exp())


@pytest.mark.parametrize("n", [2, 64])
def test_loss_starts_at_log_n_where_nothing_is_known(n):
    same = torch.ones(n, 8) / math.sqrt(8)
    assert_close(mini_clip.contrastive_loss(same, same, 10.0).item(), math.log(n))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_text_encoder_is_the_first_layers_of_the_text_half(clip, tokenizer, layers):
    """transformers' own states after that many layers, through CLIP's last normalisation."""
    ids = mini_clip.tokens(tokenizer, ["a dog with glasses", ""])
    part = mini_clip.text_encoder(clip, layers).eval()
    with torch.no_grad():
        after = clip.text_model(input_ids=ids, output_hidden_states=True).hidden_states[layers]
        assert_close(part(ids).last_hidden_state, clip.text_model.final_layer_norm(after))
    assert part.config.num_hidden_layers == layers


def test_states_look_back_only(clip, tokenizer):
    """Causal mask: another last word leaves the rows before it as they were."""
    a, b = (
        clip.text_model(input_ids=mini_clip.tokens(tokenizer, [text])).last_hidden_state[0]
        for text in ("a dog with glasses", "a dog with boots")
    )
    assert_close(a[:4], b[:4])
    assert (a[4] - b[4]).abs().max() > 0.01
