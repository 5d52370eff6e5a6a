"""diffusers' own pipelines, against which the tests hold this course's loops."""

from course import stable_diffusion
from course.stable_diffusion.check import MINI
from course.weights import FOLDER


def stock(cls, folder=FOLDER / MINI):
    """diffusers' pipeline as diffusers itself opens the folder."""
    pipeline = cls.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def ask(pipeline, prompts, seeds, **more):
    """The stock pipeline's pictures in [0, 1], each from its own generator."""
    return pipeline(prompts, generator=stable_diffusion.generators(seeds), output_type="pt", **more).images
