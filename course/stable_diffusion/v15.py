"""Stable Diffusion v1.5 and the CLIP it comes from in their true sizes: their shapes, or random weights."""

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModel

TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
VISION = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
          "patch_size": 14}  # fmt: skip


def skeleton(in_channels=4, device="meta"):
    """v1.5's three networks by name; on the device "meta" they have shapes and no numbers, elsewhere random ones.

    in_channels: 4, or 9 for the inpainting checkpoint's U-Net.
    """
    with torch.device(device):
        return {
            "text_encoder": CLIPTextModel(CLIPTextConfig(**TEXT)),
            "unet": UNet2DConditionModel(sample_size=64, in_channels=in_channels, cross_attention_dim=768),
            "vae": AutoencoderKL(
                sample_size=512, block_out_channels=(128, 256, 512, 512), layers_per_block=2,
                down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            ),
        }  # fmt: skip


def clip(device="meta"):
    """The whole CLIP ViT-L/14, of whose text half v1 took the token states."""
    with torch.device(device):
        return CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=768))
