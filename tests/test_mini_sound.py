"""Sounds: pitch and spectrogram against SciPy and known frequencies, the world against its words, the network's promises."""

import base64
import io
import itertools
import re
import wave

import numpy as np
import pytest
import scipy.signal
import torch
from test_mini_unet import awake
from torch.testing import assert_close

from course import judges, metrics, mini_unet, sounds, toy_ddpm, toy_sounds, viz, weights
from course.mini_sound import UNSAID, ResBlock, SoundUNet, as_numbers
from course.toy_sounds import HELD_OUT, RATE, SAMPLES, TRAINING, Sound, all_sounds
from course.train import sound
from course.train.trainer import Draw

TIME = torch.arange(SAMPLES) / RATE


def tones(hertz, amplitude=0.8):
    """Steady sines of these pitches, `[N, 1, 2048]`."""
    return amplitude * torch.sin(2 * torch.pi * torch.as_tensor(hertz)[:, None, None] * TIME)


def true(n=200, seed=0, chosen=None):
    waves, heard = toy_sounds.examples(n, seed, chosen or all_sounds())
    return torch.from_numpy(waves), heard


# ---------------------------------------------------------------- what is measured


def test_pitch_of_a_sine_is_its_frequency():
    hertz = torch.linspace(250, 1900, 200)
    assert ((sounds.pitch(tones(hertz)) / hertz - 1).abs() < 0.015).all()


@pytest.mark.parametrize("kind", toy_sounds.KINDS)
@pytest.mark.parametrize("hertz", [220, 310, 700, 1300])
def test_pitch_is_the_ground_tone_where_overtones_are_stronger(kind, hertz):
    """Three harmonics, the first the weakest: the shift of one whole period still fits best."""
    wave = sum(share * tones([n * hertz], 1) for n, share in ((1, 0.3), (2, 0.5), (3, 0.4)))
    assert_close(sounds.pitch(wave / 2).item(), float(hertz), rtol=0.015, atol=0)


def test_pitch_is_that_of_brute_force():
    """The autocorrelation summed term by term, at whole lags, of a sound of the world."""
    waves, _ = true(20, chosen=[Sound("long", "low", "steady", "beep")])
    for x, hertz in zip(sounds.loudest(waves).double().numpy(), sounds.pitch(waves)):
        alike = [(x[: len(x) - k] * x[k:]).sum() for k in range(41)]
        assert abs(4 + np.argmax(alike[4:]) - RATE / hertz.item()) <= 1


@pytest.mark.parametrize("hertz", [500.0, 1000.0, 2531.25])
def test_spectrogram_is_scipys(hertz):
    x = tones([hertz])
    window = np.hanning(sounds.WINDOW + 1)[:-1]
    _, _, theirs = scipy.signal.stft(
        x[0, 0].numpy(), RATE, window, sounds.WINDOW, sounds.WINDOW - sounds.HOP, boundary="zeros", padded=False
    )
    theirs = 20 * np.log10(np.maximum(2 * np.abs(theirs), 1e-3))  # scipy's is scaled to the spectrum's two halves
    ours = sounds.spectrogram(x)[0]
    assert_close(ours, torch.from_numpy(theirs).float(), atol=0.05, rtol=0)
    assert ours.argmax(0)[16] == round(hertz / 31.25)
    assert_close(ours.max().item(), 20 * np.log10(0.8), atol=0.05, rtol=0)


def test_sounds_in_a_row_have_silence_between():
    row = sounds.in_a_row(tones([500, 600]), gap=0.1)
    assert row.shape == (2 * (SAMPLES + 800),) and not row[SAMPLES : SAMPLES + 800].any()


# ---------------------------------------------------------------- the world


def test_a_tenth_is_held_out_and_every_word_and_pair_of_words_is_trained():
    assert len(HELD_OUT) == 4 and len(TRAINING) == 32 and set(HELD_OUT) | set(TRAINING) == set(all_sounds())
    for a, b in itertools.combinations(range(4), 2):
        pairs = {(sound[a], sound[b]) for sound in all_sounds()}
        assert pairs == {(sound[a], sound[b]) for sound in TRAINING}
    assert len({(sound.length, sound.pitch) for sound in HELD_OUT}) == 4


def test_captions_are_read_back():
    for each in all_sounds():
        assert Sound(**toy_sounds.parse(toy_sounds.caption(each))) == each
        assert as_numbers(toy_sounds.caption(each)).tolist() == [toy_sounds.numbers(each)]
    assert toy_sounds.parse("A rising, high bell!") == {"movement": "rising", "pitch": "high", "kind": "bell"}
    assert as_numbers("", "a chirp").tolist() == [UNSAID, [*UNSAID[:3], 2]]


def test_waves_hold_what_their_words_say():
    """By SciPy's instantaneous frequency and by energy, not by the course's own ears."""
    waves, heard = true(400, seed=3)
    assert waves.dtype == torch.float32 and waves.shape == (400, 1, SAMPLES)
    assert waves.abs().amax((1, 2)).min() > 0.45 and waves.abs().max() <= 0.91
    over = 0.02 + 1.08 * 0.09  # seconds after which a short sound has ended
    tail = waves[:, 0, int(over * RATE) + 1 :].abs().amax(1)
    assert all((loud == 0) == (each.length == "short") for loud, each in zip(tail, heard))
    for x, each in zip(waves[:, 0].numpy(), heard):
        if each.kind == "bell":
            continue
        analytic = scipy.signal.hilbert(x)
        hertz = np.diff(np.unwrap(np.angle(analytic))) * RATE / (2 * np.pi)
        inside = np.flatnonzero(np.abs(analytic) > 0.3 * np.abs(x).max())
        first, last = (np.median(hertz[part]) for part in np.array_split(inside[:-1], 2))
        assert each.movement == ("steady" if abs(last / first - 1) < 0.08 else "rising" if last > first else "falling")
        middle = (first * last) ** 0.5 / toy_sounds.HERTZ[each.pitch]
        assert 1 / 1.25 < middle < 1.25


def test_glide_is_the_integral_of_the_pitch():
    u = np.linspace(0, 1, 2001)
    for movement, sign in (("falling", -1), ("steady", 0), ("rising", 1)):
        slope = np.gradient(toy_sounds.periods(u, movement), u)
        assert_close(slope[1:-1], toy_sounds.GLIDE ** (sign * (2 * u[1:-1] - 1)), rtol=1e-4, atol=0)


def test_the_mean_of_all_sounds_is_silence():
    """Phases are drawn evenly, so E[x_0] = 0 at each sample; of n independent waves 1 / sqrt(n) of their RMS is left."""
    waves, _ = true(4000, chosen=[Sound("long", "low", "steady", "beep")])
    ratio = (waves.mean(0).square().mean() / waves.square().mean()).sqrt()
    assert_close(ratio.item(), 4000**-0.5, rtol=0.25, atol=0)


# ---------------------------------------------------------------- the network


@pytest.mark.parametrize("kwargs", [{}, {"channels": (16,)}, {"channels": (16, 24, 32)}, {"fold": 8}, {"samples": 512}])
def test_output_has_the_shape_of_the_input(kwargs, generator):
    x = torch.randn(2, 1, kwargs.get("samples", SAMPLES), generator=generator)
    assert SoundUNet(**kwargs)(x, torch.tensor([1, 1000])).shape == x.shape


def test_output_depends_on_t_on_every_word_and_on_every_sample(generator):
    model = awake(SoundUNet())
    x, t, c = torch.randn(1, 1, SAMPLES, generator=generator), torch.tensor([300]), as_numbers("a long low steady bell")
    base = model(x, t, c)
    assert (model(x, t + 200, c) - base).abs().max() > 1e-2
    for i in range(4):
        other = c.clone()
        other[0, i] = UNSAID[i]
        assert (model(x, t, other) - base).abs().max() > 1e-2
    assert torch.equal(model(x, t), model(x, t, as_numbers("")))
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(model(x, t, c)[0, 0, SAMPLES // 2], x)
    assert (gradient != 0).all()


def test_sounds_in_a_batch_do_not_mix(generator):
    model, c = awake(SoundUNet()), as_numbers("a short chirp", "a bell", "")
    x, t = torch.randn(3, 1, SAMPLES, generator=generator), torch.tensor([1, 500, 1000])
    alone = torch.cat([model(x[i : i + 1], t[i : i + 1], c[i : i + 1]) for i in range(3)])
    assert_close(model(x, t, c), alone, rtol=1e-4, atol=1e-4)


def test_a_block_is_that_of_pictures_one_pixel_high(generator):
    """The kernel of the picture's block holds the sound's in its middle row, and pads the rest with zeros."""
    theirs, ours = awake(mini_unet.ResBlock(16, 8, 12)), awake(ResBlock(16, 8, 12))
    state = {name: w[:, :, None] if w.dim() == 3 else w for name, w in ours.state_dict().items()}
    for name in ("conv1.weight", "conv2.weight"):
        state[name] = torch.nn.functional.pad(state[name], (0, 0, 1, 1))
    theirs.load_state_dict(state)
    x, emb = torch.randn(2, 16, 32, generator=generator), torch.randn(2, 12, generator=generator)
    assert_close(theirs(x[:, :, None], emb)[:, :, 0], ours(x, emb), rtol=1e-4, atol=1e-5)


def test_a_device_is_asked_nothing():
    model = SoundUNet().to("meta")
    x, t = torch.zeros(2, 1, SAMPLES, device="meta"), torch.zeros(2, device="meta", dtype=torch.long)
    assert model(x, t, torch.zeros(2, 4, device="meta", dtype=torch.long)).shape == model(x, t).shape == x.shape


def test_guidance_asks_with_all_words_and_with_none(generator):
    model, asked = awake(SoundUNet()), []
    denoiser = toy_ddpm.Denoiser(model, toy_ddpm.cosine(), "v", as_numbers("a long high bell"))
    model.register_forward_pre_hook(lambda _, args: asked.append(args[2]))
    x = torch.randn(1, 1, SAMPLES, generator=generator)
    toy_ddpm.guide(denoiser, 2.0)(x, 500)
    assert asked[0].tolist() == [UNSAID, as_numbers("a long high bell")[0].tolist()]


def test_words_are_dropped_one_by_one_and_all_at_once(generator):
    loss, seen = sound.sound_trainer(n=4, batch_size=2).loss, []

    class Silent(torch.nn.Module):
        c_null = torch.tensor(UNSAID)

        def forward(self, x_t, t, c):
            seen.append((t, c))
            return torch.zeros_like(x_t)

    n, words = 8000, torch.tensor(toy_sounds.numbers(TRAINING[0]))
    rows = [torch.zeros(n, 1, 8), words.expand(n, 4)]
    value = loss(Silent(), rows, Draw(generator, n, slice(None), "cpu"))
    t, c = seen[0]
    assert (t.min(), t.max()) == (1, 1000)
    one, four = sound.UNSAID, sound.NOTHING_SAID + (1 - sound.NOTHING_SAID) * sound.UNSAID**4
    unsaid = c == torch.tensor(UNSAID)
    assert torch.equal(c[~unsaid], words.expand(n, 4)[~unsaid])
    assert_close(unsaid.all(1).float().mean().item(), four, atol=0.012, rtol=0)
    assert_close(unsaid.float().mean().item(), 1 - (1 - sound.NOTHING_SAID) * (1 - one), atol=0.012, rtol=0)
    signal = loss.schedule.at(t, rows[0])[0].float()
    assert_close(value, signal.square().mean(), rtol=0.02, atol=0)  # v of silence is signal x eps


# ---------------------------------------------------------------- what is shipped


def test_judge_reads_true_sounds():
    waves, heard = true(500, seed=11)
    judge = judges.load_sound_judge()
    assert weights.parameters(judge) <= 200_000
    assert sum(a == b for a, b in zip(judge.read(waves), heard)) >= 497


def test_drawn_sounds_are_heard_as_asked():
    denoiser = weights.load("sound")
    assert weights.parameters(denoiser.network) <= 600_000 and denoiser.prediction == sound.PREDICTION
    captions = [toy_sounds.caption(each) for each in [*HELD_OUT * 3, *TRAINING[::3]]]
    drawn = sound.draw_sounds(denoiser, captions, seed=4)
    assert metrics.caption_accuracy(judges.load_sound_judge(), drawn, captions) >= 0.9
    assert drawn.shape == (len(captions), 1, SAMPLES) and drawn.abs().max() <= 1


def test_accuracy_counts_the_words_that_were_said():
    waves, heard = true(30, chosen=[Sound("long", "high", "rising", "bell")])
    judge = judges.load_sound_judge()
    for caption, share in (("a long high rising bell", 1.0), ("a bell", 1.0), ("a low bell", 0.0), ("a beep", 0.0)):
        assert metrics.caption_accuracy(judge, waves, [caption] * 30) == share


# ---------------------------------------------------------------- the page


def test_player_holds_the_wave_in_16_bits(monkeypatch):
    shown = []
    monkeypatch.setattr(viz, "display", lambda data, raw: shown.append(data))
    x = tones([440], 0.5)[0, 0]
    viz.play(x, RATE, 'a "steady" tone')
    page = shown[0]["text/html"]
    assert 'aria-label="a &quot;steady&quot; tone"' in page and shown[0]["text/plain"] == '[sound] a "steady" tone'
    with wave.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", page)[1]))) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (RATE, 2, 1)
        back = np.frombuffer(file.readframes(SAMPLES), "<i2") / 32767
    assert_close(torch.from_numpy(back).float(), x, atol=1e-4, rtol=0)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("waves, message", [
    (torch.zeros(2, 1, 300, dtype=torch.int16), "int16.*32768"),
    (np.zeros((2, 1, 300)), "ndarray"),
    (torch.zeros(300), r"\[None, None\]"),
    (torch.zeros(2, 300), r"\[:, None\]"),
    (torch.zeros(2, 2, 300), r"\[2, 2, 300\]"),
    (torch.zeros(0, 1, 300), r"\[0, 1, 300\]"),
    (torch.zeros(2, 1, 100), "at least 256"),
    (torch.full((1, 1, 300), torch.nan), "NaN"),
    (torch.full((1, 1, 300), 300.0), "300..300.*16 bits"),
])  # fmt: skip
def test_what_is_no_wave_is_refused(waves, message):
    for listen in (sounds.check, sounds.spectrogram, sounds.pitch):
        with pytest.raises(ValueError, match=message):
            listen(waves)


def test_a_wave_of_another_length_is_refused():
    for call in (judges.SoundJudge().read, lambda x: SoundUNet()(x, torch.tensor([1]))):
        with pytest.raises(ValueError, match=r"2048.*\[1, 1, 1024\]"):
            call(torch.zeros(1, 1, 1024))


@pytest.mark.parametrize("t, c, message", [
    (500, None, "t must be a tensor.*got 500"),
    (torch.tensor([1]), None, r"t must be a tensor of shape \[2\]"),
    (torch.tensor([1, 1]), torch.tensor([1, 1]), r"c must be a tensor of shape \[2, 4\]"),
    (torch.tensor([1, 1]), torch.tensor([[0, 0, 0, 0], [0, 0, 0, 4]]), "as_numbers"),
    (torch.tensor([1, 1]), torch.tensor([[0, 0, 0, 0], [0, -1, 0, 0]]), "as_numbers"),
])  # fmt: skip
def test_levels_and_words_that_cannot_be_are_refused(t, c, message):
    with pytest.raises(ValueError, match=message):
        SoundUNet()(torch.zeros(2, 1, SAMPLES), t, c)


def test_words_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="pitch is 'middle'; allowed: low, high"):
        toy_sounds.render(Sound("short", "middle", "rising", "bell"), np.random.default_rng(0))
    with pytest.raises(ValueError, match="two things of the kind: bell and chirp"):
        as_numbers("a bell or a chirp")
    with pytest.raises(ValueError, match="names something of toy sounds"):
        metrics.caption_accuracy(judges.load_sound_judge(), torch.zeros(1, 1, SAMPLES), ["a dog"])
    with pytest.raises(ValueError, match="multiple of 32; got 16 and 2000"):
        SoundUNet(samples=2000)


@pytest.mark.parametrize("data, message", [
    ((torch.full((2, 1, 300), 2.0), torch.zeros(2, 4)), "waves lie in 2..2"),
    ((torch.zeros(2, 1, 300), torch.zeros(2)), r"must be \[2, 4\]"),
    ((torch.zeros(2, 1, 300), torch.tensor([[0, 0, 0, 0], [0, 0, 0, 3]])), r"each below \[2, 2, 3, 3\]"),
])  # fmt: skip
def test_data_that_cannot_be_are_refused_before_training(data, message):
    with pytest.raises(ValueError, match=message):
        sound.SoundLoss(toy_ddpm.cosine()).check(SoundUNet(), data)


@pytest.mark.parametrize("wave, alt, message", [
    (torch.zeros(1, 5), "a", r"one row \[L\]"), (torch.full((5,), 2.0), "a", "-1..1"),
    (torch.full((5,), torch.nan), "a", "-1..1"), (torch.zeros(5), " ", "alt is empty"),
])  # fmt: skip
def test_what_cannot_be_played_is_refused(wave, alt, message):
    with pytest.raises(ValueError, match=message):
        viz.play(wave, RATE, alt)
