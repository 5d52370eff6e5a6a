"""What stopped a reader's function, said in words: where it was, what such an error means, and the library's own sentence."""

import traceback

STOPS = {  # a part of the library's sentence, and what it means to a reader
    "Boolean value of Tensor": "an `if` or `and` was given many numbers and cannot choose for all of them at once; "
    "torch.where, clamp, & and | can",
    "must match the size": "two tensors do not fit together. Print their shapes: an axis of 1 is stretched (keepdim=True, "
    "or [:, None]), others must be equal",
    "converted to Python scalars": "a tensor of many numbers stands where one number is needed, as in int() or float()",
    "must be Tensor, not": "a plain number stands where a tensor is needed; ** 0.5 takes both, torch.sqrt does not",
    "has no attribute": "something was asked for what it does not have; is it a plain number where you expect a tensor?",
    "is not defined": "your function uses a name that it does not know; is it spelled right, and made before it is used?",
}


def in_words(error):
    """The rest of a sentence that begins with "your function stopped"."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith("<ipython")
             or "ipykernel" in frame.filename]  # fmt: skip
    said = f"{type(error).__name__}: {error}"
    place = f", in line {lines[-1]} of its cell" if lines else ""
    for sign, words in STOPS.items():
        if sign in said:
            return f"{place}: {words}{'' if words.endswith('?') else '.'} (Python says: {said})"
    return f"{place}, with {said}"
