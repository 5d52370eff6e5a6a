"""What the figures of notebook 08 show is what the encoders and the weights say."""

import copy

import pytest
import torch

from course import mini_clip, viz
from course.figures import clip as figures

WORDS = ["start", "a", "dog"]


@pytest.fixture(autouse=True)
def no_open_figures():
    yield
    viz.plt.close("all")


def test_the_towers_mark_the_pairs_alone(generator):
    pictures = torch.rand(3, 3, 8, 8, generator=generator)
    ax = figures.towers(pictures, ["a dog", "a cat", "a pizza"])
    said = [text.get_text() for text in ax.texts]
    assert len(ax.images) == 3 and {"a dog", "a cat", "a pizza"} <= set(said)
    pale = [
        patch.get_xy()
        for patch in ax.patches
        if patch.get_facecolor()[:3] == viz.plt.matplotlib.colors.to_rgb(figures.PALE)
    ]
    places = [text.get_text() for text in ax.texts if r"\cdot" in text.get_text()]
    assert len(places) == 9 and len(pale) == 3
    assert [y for _, y in pale] == [2, 1, 0]  # from the upper left down to the right


def test_similarities_share_one_scale_and_one_bar(generator):
    pictures, cosines = torch.rand(3, 3, 8, 8, generator=generator), torch.rand(3, 2, generator=generator)
    axes = figures.similarities({"before": 0 * cosines, "after": cosines}, pictures, ["a dog", "a cat"])
    for ax, matrix in zip(axes, (0 * cosines, cosines)):
        drawn = ax.images[0]
        torch.testing.assert_close(torch.tensor(drawn.get_array().data), matrix)
        assert drawn.get_clim() == (-1, 1) and len(ax.images) == 1 + 3  # and a thumbnail for each row
    assert len(axes[0].figure.axes) == 3  # two matrices, one bar


def test_readers_draw_the_weights_of_their_place(generator):
    weights = torch.rand(3, 4, 4, generator=generator).softmax(dim=0)
    axes = figures.readers(torch.rand(3, 8, 8), weights, WORDS, [(0, 1), (3, 2)], ["up", "down"])
    for (left, right), (row, column) in zip(axes, [(0, 1), (3, 2)]):
        bars = torch.tensor([bar.get_width() for bar in right.patches], dtype=torch.float32)
        torch.testing.assert_close(bars, weights[:, row, column])
        assert left.patches[0].get_xy() == (column, row)
        assert [tick.get_text() for tick in right.get_yticklabels()] == WORDS


def test_word_maps_compare_above_and_stretch_below(generator):
    maps = torch.rand(3, 4, 4, generator=generator)
    axes = figures.word_maps(torch.rand(3, 8, 8), maps, WORDS)
    assert {ax.images[-1].get_clim() for ax in axes[0]} == {(0, maps.max().item())}
    for ax, cells in zip(axes[1], maps):
        assert ax.images[0].get_clim() == (cells.min().item(), cells.max().item())


def test_listening_and_triangle_write_their_numbers():
    ax = figures.listening(torch.tensor([0.25, 0.75]), ["boy", "ears"])
    said = [text.get_text() for text in ax.texts]
    assert said.index("boy") < said.index("0.25") and said.index("ears") < said.index("0.75")
    ax = figures.triangle(torch.tensor([[1.0, 0.0], [0.3, 0.7]]), WORDS[:2])
    assert [text.get_text() for text in ax.texts] == ["1.00", "0", "0.30", "0.70"]


def test_own_attention_is_what_the_library_computes():
    tokenizer = mini_clip.make_tokenizer(["a dog with glasses", "a cat with a hat"], merges=20)
    torch.manual_seed(0)
    encoder = mini_clip.text_encoder(mini_clip.make_clip(tokenizer, width=32, layers=1))
    ids = mini_clip.tokens(tokenizer, ["a dog with a hat", "a cat"])
    eager = copy.deepcopy(encoder)
    eager.set_attn_implementation("eager")
    theirs = eager(ids, output_attentions=True).attentions[0].mean(1)
    ours = figures.own_attention(encoder, ids)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert ours.triu(1).abs().max() == 0
