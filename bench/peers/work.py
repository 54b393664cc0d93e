# SPDX-License-Identifier: Apache-2.0
"""What is measured: the models, the rows of the table, and who can do which."""

from dataclasses import dataclass

SAMPLES = 971  # of an epoch
TRAINING_BATCH = 32


@dataclass(frozen=True)
class Model:
    preset: str
    clip: tuple  # frames, height, width, channels
    tubelet: tuple
    width: int
    layers: int
    heads: int
    mlp: int
    classes: int
    dropout: float  # of attention probabilities, in training
    class_token: bool  # read by the head instead of the mean over the tokens
    output_gelu: bool  # GELU after the MLP's second dense layer, too

    @property
    def tokens(self):
        grid = [size // part for size, part in zip(self.clip, self.tubelet)]
        return grid[0] * grid[1] * grid[2] + self.class_token


TINY = Model("vivit-tiny", (28, 28, 28, 1), (8, 8, 8), 128, 8, 8, 512, 11, 0.1, False, True)
BASE = Model("vivit-b", (32, 224, 224, 3), (2, 16, 16), 768, 12, 12, 3072, 400, 0.0, True, False)


@dataclass(frozen=True)
class Row:
    title: str
    model: Model
    training: bool
    batch: int
    precision: str
    repeats: int  # calls of one turn
    warm_up: int  # calls before them
    limit: float | None = None  # how many times faster than the best peer tubelet has to be


def _rows():
    limits = {
        "train-f32": 3.0,
        "tiny1-f32": 1.8,
        "tiny32-f32": 1.4,
        "base-f32": 1.05,
        "base-bf16": 1.05,
    }
    kinds = {
        "train": ("`vivit-tiny`, training epoch", TINY, True, TRAINING_BATCH, 30, 3),
        "tiny1": ("`vivit-tiny`, 1 volume", TINY, False, 1, 300, 10),
        "tiny32": ("`vivit-tiny`, 32 volumes", TINY, False, 32, 30, 3),
        "base": ("`vivit-b`, 1 clip", BASE, False, 1, 3, 1),
    }
    rows = {}
    for kind, (title, model, training, batch, repeats, warm_up) in kinds.items():
        for precision in ("f32", "bf16") if training else ("f32", "bf16", "int8"):
            name = f"{kind}-{precision}"
            rows[name] = Row(
                title, model, training, batch, precision, repeats, warm_up, limits.get(name)
            )
    return rows


ROWS = _rows()

# Title, packages, and the precisions in training and inference.
PEERS = {
    "torch": ("PyTorch", ("torch",), ("f32", "bf16"), ("f32", "bf16")),
    "torch-compile": ("PyTorch, compiled", ("torch",), ("f32", "bf16"), ("f32", "bf16")),
    "keras": ("Keras on JAX", ("keras", "jax"), ("f32", "bf16"), ("f32", "bf16")),
    "onnxruntime": ("onnxruntime", ("onnxruntime",), (), ("f32", "int8")),
    "openvino": ("OpenVINO", ("openvino", "nncf"), (), ("f32", "bf16", "int8")),
}


def can_do(peer, row):
    return row.precision in PEERS[peer][2 if row.training else 3]


def graph_of(peer, row, cache):
    """File of the graph that a peer without models of its own reads; None for the others."""
    suffixes = {"onnxruntime": "onnx", "openvino": "xml"}
    if peer not in suffixes:
        return None
    kind = "int8" if row.precision == "int8" else "f32"  # bf16 is a setting of OpenVINO's
    return f"{cache}/graphs/{row.model.preset}-{row.batch}-{kind}.{suffixes[peer]}"
