"""What only a GPU shows: nothing of the loops leaves it behind, and in half precision they are diffusers' too. Skipped elsewhere."""

import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline

from course import stable_diffusion, toy_ddpm
from course.stable_diffusion import edit

if not torch.cuda.is_available():
    pytest.skip("no CUDA device is here", allow_module_level=True)


@pytest.fixture(params=["float32", "bfloat16"])
def sd(request):
    return stable_diffusion.load("mini", "cuda", dtype=request.param, quiet=True)


def test_both_loops_end_at_the_same_latents(sd):
    pipeline = stable_diffusion.as_pipeline(sd)
    ours = toy_ddpm.last(stable_diffusion.walk(sd, ["a dog", "a cat"], [3, 4], steps=10))
    theirs = pipeline(["a dog", "a cat"], generator=stable_diffusion.generators([3, 4]), num_inference_steps=10,
                      output_type="latent").images.float()  # fmt: skip
    assert (ours - theirs).norm() < (1e-4 if sd.unet.dtype == torch.float32 else 0.05) * theirs.norm()


def test_a_pipeline_that_moved_the_scheduler_leaves_the_loop_working(sd):
    x = stable_diffusion.generate(sd, ["a dog"], steps=2)
    pipeline = stable_diffusion.as_pipeline(sd, StableDiffusionImg2ImgPipeline)
    theirs = pipeline(["a dog"], image=(x + 1) / 2, strength=0.5, num_inference_steps=10, output_type="pt",
                      generator=stable_diffusion.generators([0])).images * 2 - 1  # fmt: skip
    ours = edit.image_to_image(sd, x, ["a dog"], strength=0.5, steps=10)
    assert (ours - theirs).abs().mean() < (1e-5 if sd.unet.dtype == torch.float32 else 0.02)


def test_the_judges_read_what_the_gpu_drew():
    from course import judges

    x = stable_diffusion.generate(stable_diffusion.load("mini", "cuda", quiet=True), ["a dog"])
    assert judges.load_zoo_judge().read(x) == judges.load_zoo_judge().read(x.cpu())
