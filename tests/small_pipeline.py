"""Folders in Stable Diffusion v1's layout with small random weights, written by diffusers itself."""

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from course.stable_diffusion.check import MINI
from course.stable_diffusion.load import make_scheduler
from course.weights import FOLDER


def small_pipeline(folder, in_channels=4, safety_checker=False, **how):
    """A whole v1 with f = 8, 77 tokens and pictures of 32 x 32. how: of `save_pretrained`, as variant or max_shard_size."""
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(FOLDER / MINI / "tokenizer")
    tokenizer.model_max_length = 77
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}  # fmt: skip
    text = CLIPTextConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=2,
                          num_attention_heads=2, max_position_embeddings=77, **ends)  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=4, in_channels=in_channels, block_out_channels=(8, 16), layers_per_block=1, cross_attention_dim=16,
        attention_head_dim=8, norm_num_groups=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), norm_num_groups=8, sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        tokenizer=tokenizer, text_encoder=CLIPTextModel(text), unet=unet, vae=vae, scheduler=make_scheduler(),
        safety_checker=small_checker() if safety_checker else None, requires_safety_checker=safety_checker,
        feature_extractor=CLIPImageProcessor(size=32, crop_size=32) if safety_checker else None,
    )  # fmt: skip
    pipeline.save_pretrained(folder, **how)


def small_checker():
    """A safety checker that sees pictures of 32 x 32."""
    tower = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = tower | {"image_size": 32, "patch_size": 16}
    checker = StableDiffusionSafetyChecker(CLIPConfig(text_config=tower, vision_config=vision, projection_dim=8))
    torch.nn.init.constant_(checker.concept_embeds_weights, 2.0)  # no cosine is above it: nothing is ever blackened
    torch.nn.init.constant_(checker.special_care_embeds_weights, 2.0)
    return checker
