"""A table of word vectors as int8 rows, each with an f32 scale: `table` I8 [rows, width], `scale` F32 [rows].

A text is the mean of the rows of its tokens, each times its scale, at length one; without special tokens, and without
the token that the card says to ignore.
"""

import numpy as np
from safetensors.numpy import load, save

from bert import by_scale


def convert(weights, tensor):
    """`weights` are the bytes of a safetensors file that holds the float table `tensor`."""
    rows, scale = by_scale(load(weights)[tensor].astype(np.float32), 1, 127)
    return save({"table": rows, "scale": scale.reshape(-1)})
