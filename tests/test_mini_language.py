"""Masked diffusion on captions: shares, loss and errors of few calls are those that theory says."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close
from transformers import T5Config, T5EncoderModel, T5ForConditionalGeneration

from course import mini_clip, mini_language, toy_zoo, weights
from course.train.language import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer()


@pytest.fixture(scope="module")
def untrained(tokenizer):
    torch.manual_seed(1)
    return mini_language.make_language_model(tokenizer).eval()


def test_no_more_than_the_share_is_masked_and_never_the_start(tokenizer, generator):
    language = mini_language.make_language_model(tokenizer)
    ids = torch.zeros(2000, 32, dtype=torch.long)
    hidden = mini_language.masked(language, ids, 0.3, torch.rand(ids.shape, generator=generator)) == len(tokenizer)
    assert not hidden[:, 0].any()
    assert_close(hidden[:, 1:].float().mean().item(), 0.3, atol=0.01, rtol=0)


class TwoWords:
    """A perfect language model of two captions, "start 0 0" and "start 1 1", equally likely."""

    def __init__(self, monkeypatch):
        self.config = type("Config", (), {"vocab_size": 4})  # 0, 1, the start 2, the mask 3
        monkeypatch.setattr(mini_language, "logits", self.logits)

    def logits(self, _, ids):
        known = torch.stack([(ids[:, 1:] == word).any(1) for word in (0, 1)], 1)  # what the caption must be
        says = torch.zeros(len(ids), 3, 3)
        says[:, 0, 2] = 1
        says[:, 1:, :2] = torch.where(known.any(1, keepdim=True), known.float(), 0.5)[:, None]
        return says.clamp(min=1e-30).log()


@pytest.mark.parametrize("calls", [1, 2, 4])
def test_words_that_are_drawn_in_one_call_do_not_know_of_each_other(calls, generator, monkeypatch):
    """Both masks fall in the same call with chance 1 / calls, and then the words differ in half of the cases."""
    ids = torch.tensor([[2, 3, 3]]).repeat(20_000, 1)
    *_, written = mini_language.write(TwoWords(monkeypatch), ids, calls, generator)
    assert (written < 2).sum() == 2 * len(ids)
    differ = (written[:, 1] != written[:, 2]).float().mean().item()
    assert_close(differ, 0.5 / calls, atol=0.015, rtol=0)


def test_loss_of_a_perfect_model_is_the_information_in_a_caption(generator, monkeypatch):
    """One bit in two places; the bound is reached, so the mean over three places is ln 2 / 3."""
    model = TwoWords(monkeypatch)
    ids = torch.tensor([[2, 0, 0], [2, 1, 1]]).repeat(50_000, 1)
    share = torch.rand(len(ids), generator=generator).clamp(min=0.01)
    loss = mini_language.masked_loss(model, ids, share, torch.rand(ids.shape, generator=generator))
    assert_close(loss.item(), torch.log(torch.tensor(2.0)).item() / 3, atol=0.01, rtol=0)


def test_logits_read_the_table_of_tokens_as_t5_does(untrained, tokenizer):
    config = T5Config(**untrained.config.to_dict() | {"num_decoder_layers": 1, "tie_word_embeddings": True,
                      "is_encoder_decoder": True, "decoder_start_token_id": 0})  # fmt: skip
    whole = T5ForConditionalGeneration(config).eval()
    whole.encoder.load_state_dict(untrained.encoder.state_dict())
    ids = mini_clip.tokens(tokenizer, ["a dog with glasses", "a grey cat"])
    h = whole.encoder(input_ids=ids).last_hidden_state
    theirs = F.linear(h * config.d_model**-0.5, whole.shared.weight)[..., :-1]
    assert_close(mini_language.logits(untrained, ids), theirs)


def test_writing_needs_a_call(untrained):
    with pytest.raises(ValueError, match="calls is 0"):
        next(mini_language.write(untrained, torch.zeros(1, 3).long(), 0))


def test_the_shipped_one_knows_which_words_do_the_same_work_and_keeps_words_that_stand(tokenizer):
    language = weights.load_pretrained("mini-imagen/text_encoder", T5EncoderModel)
    ids = mini_clip.tokens(tokenizer, ["a cat in front of a pink wall", "a cat in front of a green wall"])
    place = 1 + "a cat in front of a pink wall".split().index("pink")
    pink, green = mini_language.states(language, ids)[:, place]
    assert (pink - green).norm() > 0.5 * pink.norm()  # a picture model must be able to tell them apart
    ids[0, place] = mini_language.mask_token(language)
    likely = mini_language.logits(language, ids)[0, place].topk(5).indices
    assert {tokenizer.decode([i]).strip() for i in likely.tolist()} == set(toy_zoo.BACKGROUNDS)


def test_every_caption_is_one_that_chance_may_write():
    rng, scenes = np.random.default_rng(0), toy_zoo.all_scenes()[::90]
    every = toy_zoo.every_caption(scenes)
    drawn = {toy_zoo.caption(scene, rng) for scene in scenes for _ in range(5000)}
    assert drawn <= every and len(every - drawn) < 0.1 * len(every)
    assert all(toy_zoo.caption(scene, rng, everything=True) in every for scene in scenes)
