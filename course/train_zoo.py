"""The recipes of Toy Zoo's models: judge, autoencoder, CLIP, conditional U-Net.

Each is a `ZooTrainer`, which `train.train` runs: all chance is drawn for the whole batch from one
generator, each process takes its share of the rows, and gradients are averaged over the processes.
So one process and several come to the same losses, and a resumed run too.
"""

import functools
import math

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch.distributed.nn.functional import all_gather

from course import device, metrics, mini_clip, stable_diffusion, toy_ddpm, toy_zoo
from course.toy_zoo import ATTRIBUTES, HELD_OUT, TRAINING


class ZooTrainer(toy_ddpm.Trainer):
    """Trains `model` by `batch_loss(model, rows, draw)`, every step on `batch_size` rows of the tensors in `data`.

    rows: this process's share of the batch, a tensor of each of `data`. draw(*shape): normal numbers
    `[rows, *shape]`, or uniform ones with how=torch.rand. Raises ValueError where the processes cannot share the batch evenly.
    """

    def __init__(self, model, batch_loss, data, *, batch_size, lr, ema_decay=0.999, seed=0, where="cpu",
                 tokenizer=None):  # fmt: skip
        super().__init__(model.to(where), None, None, batch_size=batch_size, lr=lr, ema_decay=ema_decay, seed=seed)
        self.batch_loss, self.data, self.tokenizer = batch_loss, data, tokenizer
        self.rank, self.world = device.processes()
        if batch_size % self.world:
            raise ValueError(f"a batch of {batch_size} cannot be shared evenly by {self.world} processes")

    def backward(self):
        where = next(self.model.parameters()).device
        share = slice(self.rank, None, self.world)

        def draw(*shape, how=torch.randn):
            return how(self.batch_size, *shape, generator=self.generator)[share].to(where)

        rows = torch.randint(len(self.data[0]), (self.batch_size,), generator=self.generator)[share]
        loss = self.batch_loss(self.model, [tensor[rows].to(where) for tensor in self.data], draw)
        loss.backward()
        if self.world > 1:
            values = [loss.detach(), *(p.grad for p in self.model.parameters() if p.grad is not None)]
            total = torch.cat([value.flatten() for value in values])
            dist.all_reduce(total)
            for value, mean in zip(values, (total / self.world).split([value.numel() for value in values])):
                value.copy_(mean.view_as(value))
        return loss.detach()


def pixels(pictures):
    """uint8 pictures `[B, 64, 64, 3]`, array or tensor, as float `[B, 3, 64, 64]` in [-1, 1]."""
    return torch.as_tensor(pictures).movedim(-1, 1).float() / 127.5 - 1


# ---------------------------------------------------------------- judge


def labels(scenes):
    """The scenes' attributes as numbers, long `[N, 4]`; -100 where there is none."""
    return torch.tensor([
        [values.index(value) if value else -100 for value, values in zip(scene, ATTRIBUTES.values())] for scene in scenes
    ])  # fmt: skip


def judge_loss(judge, rows, draw):
    """Cross-entropy of every attribute, on pictures with a little noise so that the judge does not hang on single pixels."""
    pictures, wanted = rows
    logits = judge(pixels(pictures) + 0.1 * draw(3, 64, 64) * draw(1, 1, 1, how=torch.rand))
    return sum(
        F.cross_entropy(row.float(), wanted[:, i], label_smoothing=0.03, reduction="none").mean()
        for i, row in enumerate(logits.values())
    )


def judge_trainer(seed=0, n=24_000, scenes=None, batch_size=128, where="cpu"):
    """The judge sees all scenes, also those held out of the models that it judges."""
    pictures, _, shown = toy_zoo.examples(n, seed=1000 + seed, scenes=scenes or toy_zoo.all_scenes())
    torch.manual_seed(seed)
    data = torch.from_numpy(pictures), labels(shown)
    return ZooTrainer(
        metrics.ZooJudge(), judge_loss, data, batch_size=batch_size, lr=2e-3, ema_decay=0.99, seed=seed, where=where
    )


# ---------------------------------------------------------------- autoencoder


def make_vae(widths=(16, 32, 64, 128)):
    """An untrained `AutoencoderKL`: 64x64x3 to 8x8x4 and back, the 48-fold compression of Stable Diffusion."""
    down, up = ("DownEncoderBlock2D",) * len(widths), ("UpDecoderBlock2D",) * len(widths)
    return AutoencoderKL(
        block_out_channels=widths, down_block_types=down, up_block_types=up, norm_num_groups=8, sample_size=64
    )


def vae_loss(vae, rows, draw, eye, kl_weight=1e-6):
    """L1, squared error, edges, distance on the layers of another network (`eye`), and a touch of KL: Rombach et al. 2021, App. G."""
    x = pixels(rows[0])
    posterior = vae.encode(x).latent_dist
    z = posterior.mean + posterior.std * draw(*posterior.mean.shape[1:])
    x_hat = vae.decode(z).sample.float()
    loss = F.l1_loss(x_hat, x) + F.mse_loss(x_hat, x) + kl_weight * posterior.kl().mean()
    for axis in (2, 3):
        loss = loss + F.l1_loss(x_hat.diff(dim=axis), x.diff(dim=axis))
    seen, wanted = x_hat, x
    for i, layer in enumerate(eye.body):
        seen, wanted = layer(seen), layer(wanted)
        if i % 6 == 5:  # the end of a level: 32, 16, 8 and 4 cells wide
            loss = (
                loss
                + 0.1
                * F.l1_loss(F.normalize(seen.float(), dim=1), F.normalize(wanted.float(), dim=1))
                * seen.shape[1] ** 0.5
            )
    return loss


def collages(pictures, scenes, rng):
    """The pictures, each with a rectangle of another one pasted somewhere, and a quarter of them in exchanged colours.

    An autoencoder that sees nothing else than whole figures learns what is usual: without collages ours rubbed the
    glasses off every fifth dog, having met no dog with glasses. Glasses and dogs are kept apart here too.
    """
    pasted, glasses = pictures.copy(), np.array([scene.worn == "glasses" for scene in scenes])
    dog = np.array([scene.subject == "dog" for scene in scenes])
    for i, j in enumerate(rng.permutation(len(pictures))):
        high, wide = rng.integers(12, 44, 2)
        (to_y, from_y), (to_x, from_x) = rng.integers(0, 64 - high, 2), rng.integers(0, 64 - wide, 2)
        if not (dog[i] and glasses[j] or dog[j] and glasses[i]):
            pasted[i, to_y : to_y + high, to_x : to_x + wide] = pictures[
                j, from_y : from_y + high, from_x : from_x + wide
            ]
        if rng.random() < 0.25:
            pasted[i] = pasted[i][..., rng.permutation(3)]
    return pasted


def patchwork(rng):
    """An animal that does not exist, uint8 [64, 64, 3]: tail, ears and face of two or three kinds, so no scene of Toy Zoo."""
    animals = toy_zoo.SUBJECTS[:4]
    ears, face = rng.choice(animals, 2, replace=False)
    coat, background, worn = (rng.choice(values) for values in (toy_zoo.COATS, toy_zoo.BACKGROUNDS, toy_zoo.WORN))
    worn = "glasses" if rng.random() < 0.5 else worn
    kinds = rng.choice(animals), ears, face
    return toy_zoo.render(toy_zoo.Scene("cat", coat, background, worn), rng, kinds=kinds)


def decoder_trainer(vae, eye, seed=0, n=15_000, batch_size=16, where="cpu"):
    """Trains the decoder on, the encoder frozen, so that the U-Net's latents stay what they are: as with `sd-vae-ft-mse` of 2022.

    A third are training scenes, a third collages, a third patchwork animals: a decoder that is to paint what the U-Net
    combines must have met more combinations than the U-Net has. What is held out is not among them.
    """
    pictures, _, scenes = toy_zoo.examples(n, seed=7000 + seed)
    rng, third = np.random.default_rng(7000 + seed), n // 3
    pictures[:third] = collages(pictures[:third], scenes[:third], rng)
    pictures[-third:] = [patchwork(rng) for _ in range(third)]
    torch.manual_seed(seed)
    for part in (vae.decoder, vae.post_quant_conv):
        part.train().requires_grad_(True)
    loss = functools.partial(vae_loss, eye=eye.eval().requires_grad_(False))
    recipe = {"batch_size": batch_size, "lr": 6e-4, "ema_decay": 0.998, "seed": seed, "where": where}
    return ZooTrainer(vae, loss, (torch.from_numpy(pictures),), **recipe)


def vae_trainer(eye, seed=0, n=20_000, batch_size=16, widths=(16, 32, 64, 128), where="cpu"):
    """The autoencoder sees training scenes only, half of them as collages."""
    pictures, _, scenes = toy_zoo.examples(n, seed=2000 + seed)
    half = n // 2
    pictures[:half] = collages(pictures[:half], scenes[:half], np.random.default_rng(2000 + seed))
    torch.manual_seed(seed)
    loss = functools.partial(vae_loss, eye=eye.eval().requires_grad_(False))
    recipe = {"batch_size": batch_size, "lr": 1e-3, "ema_decay": 0.998, "seed": seed, "where": where}
    return ZooTrainer(make_vae(widths), loss, (torch.from_numpy(pictures),), **recipe)


def scaling_factor(vae, pictures):
    """1 / standard deviation of the latents of these pictures, so that they come out with variance 1: Rombach et al. 2021, App. G."""
    return 1 / encode(vae, pictures)[0].std().item()


@torch.no_grad()
def encode(vae, pictures, size=250):
    """Mean and standard deviation of the latents of uint8 pictures, each `[N, 4, 8, 8]`, unscaled."""
    parts = [vae.encode(pixels(part).to(vae.device)).latent_dist for part in torch.as_tensor(pictures).split(size)]
    return torch.cat([p.mean.float().cpu() for p in parts]), torch.cat([p.std.float().cpu() for p in parts])


def vae_figures(vae, judge, n=1000):
    """What the autoencoder keeps of n pictures of held-out and of training scenes: PSNR, and what the judge still reads right."""
    figures = {"scaling factor": round(vae.config.scaling_factor, 4)}
    for name, scenes, seed in (("held-out", HELD_OUT, 3), ("training", TRAINING, 4)):
        pictures, _, shown = toy_zoo.examples(n, seed=seed, scenes=scenes)
        x, (z, _) = pixels(pictures), encode(vae, pictures)
        x_hat = metrics.in_batches(lambda part: vae.decode(part).sample.clamp(-1, 1), z, 100)
        pairs = list(zip(judge.read(x_hat), shown))
        figures[f"PSNR in dB, {name} scenes"] = round(metrics.psnr(x, x_hat), 2)
        for i, attribute in enumerate(ATTRIBUTES):
            figures[f"{attribute} read right, {name} scenes"] = round(sum(a[i] == b[i] for a, b in pairs) / n, 4)
        figures[f"every attribute read right, {name} scenes"] = round(sum(a == b for a, b in pairs) / n, 4)
    return figures


# ---------------------------------------------------------------- CLIP


def clip_loss(clip, rows, draw):
    """The symmetric loss over the whole batch: every process sees the embeddings of all."""
    pictures, ids = rows
    embeds = mini_clip.embed_images(clip, pixels(pictures)), mini_clip.embed_texts(clip, ids)
    if dist.is_initialized():
        embeds = (torch.cat(all_gather(embed.float())) for embed in embeds)
    return mini_clip.contrastive_loss(*embeds, clip.logit_scale.clamp(max=math.log(100)).exp())


def clip_examples(seed=0, n=20_000):
    """Training pictures, their captions, and the tokenizer that is made from these captions."""
    pictures, captions, _ = toy_zoo.examples(n, seed=3000 + seed)
    return pictures, captions, mini_clip.make_tokenizer(captions)


def clip_trainer(seed=0, n=20_000, batch_size=128, where="cpu"):
    """CLIP sees training scenes only."""
    pictures, captions, tokenizer = clip_examples(seed, n)
    data = torch.from_numpy(pictures), mini_clip.tokens(tokenizer, captions)
    torch.manual_seed(seed)
    clip = mini_clip.make_clip(tokenizer)
    recipe = {"batch_size": batch_size, "lr": 1e-3, "ema_decay": 0.99, "seed": seed, "where": where}
    return ZooTrainer(clip, clip_loss, data, tokenizer=tokenizer, **recipe)


@torch.no_grad()
def zero_shot(clip, tokenizer, rounds=10, choices=64, seed=5):
    """Share of held-out pictures whose own caption lies nearest among `choices` of distinct scenes, over some rounds."""
    rng, right = np.random.default_rng(seed), []
    for _ in range(rounds):
        scenes = [HELD_OUT[i] for i in rng.choice(len(HELD_OUT), choices, replace=False)]
        pictures = np.stack([toy_zoo.render(scene, rng) for scene in scenes])
        texts = [toy_zoo.caption(scene, rng, everything=True) for scene in scenes]
        a = mini_clip.embed_images(clip, pixels(pictures))
        b = mini_clip.embed_texts(clip, mini_clip.tokens(tokenizer, texts))
        right.append((a @ b.T).argmax(1) == torch.arange(choices))
    return torch.cat(right).float().mean().item()


# ---------------------------------------------------------------- conditional U-Net


def make_unet(text_width=128, widths=(96, 160)):
    """An untrained `UNet2DConditionModel` for latents 8x8x4, with cross-attention to the text's token states on both levels."""
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=widths, layers_per_block=1, attention_head_dim=4, norm_num_groups=16,
        down_block_types=("CrossAttnDownBlock2D",) * len(widths), up_block_types=("CrossAttnUpBlock2D",) * len(widths),
        cross_attention_dim=text_width,
    )  # fmt: skip


def unet_loss(unet, rows, draw, schedule, text_encoder, empty, drop=0.1):
    """The loss of DDPM Eq. 14 on latents, given the token states of a caption, which is the empty one in a tenth of the rows."""
    mean, std, ids = rows
    uniform = draw(3, how=torch.rand)  # [B, 3]: which caption, whether dropped, which level
    x_0 = mean + std * draw(*mean.shape[1:])
    t = 1 + (uniform[:, 2] * schedule.T).long()
    eps = draw(*mean.shape[1:])
    ids = ids[torch.arange(len(ids)), (uniform[:, 0] * ids.shape[1]).long()]
    ids = torch.where(uniform[:, 1, None] < drop, empty, ids)
    with torch.no_grad():
        states = text_encoder(ids).last_hidden_state  # [B, L, D]
    x_t = toy_ddpm.q_sample(x_0, t, eps, schedule)
    eps_hat = unet(x_t, t - 1, states).sample  # diffusers counts the levels from 0
    return F.mse_loss(eps_hat.float(), eps)


def unet_trainer(vae, text_encoder, tokenizer, seed=0, n=20_000, captions=4, batch_size=64, where="cpu"):
    """The U-Net sees latents of training scenes only, each with several captions."""
    pictures, _, scenes = toy_zoo.examples(n, seed=4000 + seed)
    rng = np.random.default_rng(4000 + seed)
    texts = [toy_zoo.caption(scene, rng) for scene in scenes for _ in range(captions)]
    ids = mini_clip.tokens(tokenizer, texts).view(n, captions, -1)
    mean, std = (vae.config.scaling_factor * part for part in encode(vae, pictures))
    torch.manual_seed(seed)
    unet = make_unet(text_encoder.config.hidden_size)
    if (
        torch.device(where).type == "cpu"
    ):  # plain attention: with so few tokens a step takes 0.6 of the fused kernel's time
        unet.set_attn_processor(AttnProcessor())
    loss = functools.partial(
        unet_loss,
        schedule=toy_ddpm.make_schedule("scaled_linear"),
        text_encoder=text_encoder,
        empty=mini_clip.tokens(tokenizer, [""]).to(where),
    )
    return ZooTrainer(
        unet, loss, (mean, std, ids), batch_size=batch_size, lr=1e-3, ema_decay=0.9995, seed=seed, where=where
    )


def scheduler():
    """Stable Diffusion's scheduler, DDIM: its betas, no clipping of latents, steps counted from 1."""
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip


def pipeline(tokenizer, text_encoder, unet, vae):
    """diffusers' own pipeline of these parts, without a safety checker: Toy Zoo has nothing to check."""
    parts = {"tokenizer": tokenizer, "text_encoder": text_encoder, "unet": unet, "vae": vae, "scheduler": scheduler()}
    nothing = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return StableDiffusionPipeline(**parts, **nothing)


def unet_figures(sd, judge, n=500, **choices):
    """Prompt accuracy on n prompts each of held-out scenes, of training scenes, and of dogs with glasses."""
    figures = {}
    dogs = [scene for scene in HELD_OUT if (scene.subject, scene.worn) == ("dog", "glasses")]
    for name, scenes in (("held-out scenes", HELD_OUT), ("training scenes", TRAINING), ("a dog with glasses", dogs)):
        rng = np.random.default_rng(6)
        prompts = [toy_zoo.caption(scenes[rng.integers(len(scenes))], rng, everything=True) for _ in range(n)]
        x = stable_diffusion.generate(sd, prompts, **choices)
        figures[f"prompt accuracy, {name}"] = round(metrics.prompt_accuracy(judge, x, prompts), 4)
    return figures
