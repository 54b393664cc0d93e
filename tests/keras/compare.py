#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tubelet's Keras files against real Keras, both ways: compare.py TUBELET --head | --run | MODEL... (a Python with keras, jax, h5py).

For models of several sizes, with both kinds of GELU, after some steps of Adam: what Keras saved, tubelet reads and computes to the
same logits; what tubelet wrote, Keras loads and computes to the same logits, and its arrays and Adam's state are equal bit for bit.
Writes the rows of a Markdown table, or with --head its head; exits with 1 when anything is off. With --run: Keras goes on with a run
of tubelet's from its weights and its Adam's state, and takes the step that tubelet takes.
"""
import json
import os
import subprocess
import sys
import tempfile
import warnings

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import h5py  # noqa: E402
import jax  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers, ops  # noqa: E402

warnings.filterwarnings("ignore", category=UserWarning)  # of layers without build(), as in the example
jax.config.update("jax_default_matmul_precision", "highest")
LIMIT = 2e-6  # of the largest logit, docs/numerics.md
STEP_LIMIT = 1e-3  # of a step of Adam, whose quotients magnify rounding where gradients are small
TOLD_APART = 2e-5  # the two kinds of GELU differ by more

# The classes of the Keras example.


class TubeletEmbedding(layers.Layer):
    def __init__(self, embed_dim, patch_size, **kwargs):
        super().__init__(**kwargs)
        self.projection = layers.Conv3D(filters=embed_dim, kernel_size=patch_size, strides=patch_size, padding="VALID")
        self.flatten = layers.Reshape(target_shape=(-1, embed_dim))

    def call(self, videos):
        return self.flatten(self.projection(videos))


class PositionalEncoder(layers.Layer):
    def __init__(self, embed_dim, **kwargs):
        super().__init__(**kwargs)
        self.embed_dim = embed_dim

    def build(self, input_shape):
        _, num_tokens, _ = input_shape
        self.position_embedding = layers.Embedding(input_dim=num_tokens, output_dim=self.embed_dim)
        self.positions = ops.arange(0, num_tokens, 1)

    def call(self, encoded_tokens):
        return encoded_tokens + self.position_embedding(self.positions)


CUSTOM = {"TubeletEmbedding": TubeletEmbedding, "PositionalEncoder": PositionalEncoder}
EXAMPLE = dict(clip=(28, 28, 28, 1), patch=(8, 8, 8), dim=128, heads=8, layers=8, mlp=512, classes=11)
ODD = dict(clip=(10, 13, 9, 2), patch=(4, 5, 3), dim=24, heads=3, layers=2, mlp=96, classes=5)
LONE = dict(clip=(4, 6, 5, 3), patch=2, dim=10, heads=1, layers=1, mlp=7, classes=2)


def make_model(size, gelu):
    """The Keras example; its own ops.gelu is tanh."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    act = ops.gelu if gelu == "tanh" else keras.activations.gelu
    inputs = layers.Input(shape=size["clip"])
    x = TubeletEmbedding(embed_dim=size["dim"], patch_size=size["patch"])(inputs)
    x = PositionalEncoder(embed_dim=size["dim"])(x)
    for _ in range(size["layers"]):
        x1 = layers.LayerNormalization(epsilon=1e-6)(x)
        a = layers.MultiHeadAttention(num_heads=size["heads"], key_dim=size["dim"] // size["heads"], dropout=0.1)(x1, x1)
        x2 = layers.Add()([a, x])
        x3 = layers.LayerNormalization(epsilon=1e-6)(x2)
        x3 = keras.Sequential([layers.Dense(size["mlp"], activation=act), layers.Dense(size["dim"], activation=act)])(x3)
        x = layers.Add()([x3, x2])
    x = layers.GlobalAvgPool1D()(layers.LayerNormalization(epsilon=1e-6)(x))
    model = keras.Model(inputs, layers.Dense(size["classes"], activation="softmax")(x))
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy", jit_compile=False)
    return model


def fit(model, size):
    rng = np.random.default_rng(3)
    x = rng.random((12,) + size["clip"], dtype="f4")
    model.fit(x, rng.integers(0, size["classes"], 12), batch_size=4, epochs=1, verbose=0)


def keras_logits(model, x):
    """What comes before the softmax of the last layer."""
    model.layers[-1].activation = keras.activations.linear
    out = np.asarray(model(x, training=False))
    model.layers[-1].activation = keras.activations.softmax
    return out


def tubelet(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"tubelet {' '.join(arguments)}: {done.stderr}")
    return done


def tubelet_logits(program, folder, x, scratch):
    path = os.path.join(scratch, "x.npy")
    np.save(path, x)
    lines = tubelet(program, "predict", folder, path, "--json", "--quiet", "--no-preprocess").stdout.splitlines()
    return np.array([json.loads(line)["logits"] for line in lines], "f4")


def difference(a, b):
    return float(np.abs(a.astype("f8") - b).max() / np.abs(b).max())


def arrays_of(path):
    found = {}
    with h5py.File(path) as f:
        f.visititems(lambda name, o: found.update({name: o[()]}) if isinstance(o, h5py.Dataset) else None)
    return found


def groups_of(path):
    """Every group and its attributes, in the file's order."""
    found = []
    with h5py.File(path) as f:
        f.visititems(lambda name, o: found.append((name, dict(o.attrs))) if isinstance(o, h5py.Group) else None)
    return found


def same_arrays(a, b):
    """Keras' counter of steps has the backend's width: int32 on jax, int64 on TensorFlow."""
    return a.keys() == b.keys() and all(
        (a[k].dtype == b[k].dtype or k == "optimizer/vars/0") and np.array_equal(a[k], b[k]) for k in a)


def same_optimizer(a, b):
    return len(a.variables) == len(b.variables) and all(
        np.array_equal(np.asarray(u), np.asarray(v)) for u, v in zip(a.variables, b.variables))


def refused_without_lines(path):
    """A Python that was not told what tubelet>gelu_tanh is must not load the file."""
    code = ("import sys; sys.path.insert(0, sys.argv[1]); import compare_classes as c; import keras\n"
            "try:\n    keras.models.load_model(sys.argv[2], custom_objects=c.CUSTOM)\n"
            "except Exception as e:\n    sys.exit(0 if 'gelu_tanh' in str(e) else 3)\nsys.exit(4)\n")
    with tempfile.TemporaryDirectory() as folder:
        with open(__file__, encoding="utf-8") as f:
            text = f.read()
        with open(os.path.join(folder, "compare_classes.py"), "w", encoding="utf-8") as f:
            f.write(text[:text.index("EXAMPLE = ")])
        return subprocess.run([sys.executable, "-c", code, folder, path], capture_output=True, check=False).returncode == 0


def check(program, name, size, gelu, scratch):
    def path(suffix):
        return os.path.join(scratch, f"{name}-{gelu}-{suffix}")

    model = make_model(size, gelu)
    fit(model, size)
    x = np.random.default_rng(5).random((6,) + size["clip"], dtype="f4")
    truth = keras_logits(model, x)
    model.save(path("keras.keras"))
    model.save_weights(path("keras.weights.h5"))

    # Keras to tubelet.
    tubelet(program, "convert", path("keras.keras"), path("folder"), "--gelu", gelu, "--quiet")
    to_tubelet = difference(tubelet_logits(program, path("folder"), x, scratch), truth)
    tubelet(program, "convert", path("keras.weights.h5"), path("folder2"), "--like", path("folder"), "--gelu", gelu, "--quiet")
    bits = open(path("folder/model.safetensors"), "rb").read() == open(path("folder2/model.safetensors"), "rb").read()

    # tubelet to Keras.
    tubelet(program, "convert", path("folder"), path("back.keras"), "--quiet")
    tubelet(program, "convert", path("folder"), path("back.weights.h5"), "--quiet")
    refused = refused_without_lines(path("back.keras")) if gelu == "tanh" else True
    keras.backend.clear_session()
    loaded = keras.models.load_model(path("back.keras"), custom_objects=CUSTOM)
    to_keras = difference(keras_logits(loaded, x), truth)
    by_weights = make_model(size, gelu)
    by_weights.optimizer.build(by_weights.trainable_variables)
    by_weights.load_weights(path("back.weights.h5"))
    optimizer = same_optimizer(loaded.optimizer, model.optimizer) and same_optimizer(by_weights.optimizer, model.optimizer)
    weights = difference(keras_logits(by_weights, x), truth)
    bits = bits and same_arrays(arrays_of(path("back.weights.h5")), arrays_of(path("keras.weights.h5")))
    groups = groups_of(path("back.weights.h5")) == groups_of(path("keras.weights.h5"))

    # And once around: Keras saves what tubelet wrote, and tubelet reads it again.
    loaded.save(path("around.keras"))
    tubelet(program, "convert", path("around.keras"), path("around"), "--quiet", *(["--gelu", "erf"] if gelu == "erf" else []))
    for file in ("model.safetensors", "optimizer.safetensors"):
        bits = bits and open(path(f"folder/{file}"), "rb").read() == open(path(f"around/{file}"), "rb").read()

    # A control: the other kind of GELU is another model.
    other = "erf" if gelu == "tanh" else "tanh"
    tubelet(program, "convert", path("keras.keras"), path("other"), "--gelu", other, "--quiet")
    wrong = difference(tubelet_logits(program, path("other"), x, scratch), truth)

    good = max(to_tubelet, to_keras, weights) <= LIMIT and bits and groups and optimizer and refused and wrong > TOLD_APART
    print(f"| {name} | {gelu} | {to_tubelet:.1e} | {to_keras:.1e} | {weights:.1e} | {'equal' if bits else 'DIFFER'} | "
          f"{'equal' if groups else 'DIFFER'} | {'equal' if optimizer else 'DIFFERS'} | "
          f"{('yes' if refused else 'NO') if gelu == 'tanh' else ''} | {wrong:.1e} |", flush=True)
    return good


def step_of(path, x, y, fresh):
    """The arrays after one more step over all samples; fresh: without the optimizer's state."""
    model = keras.models.load_model(path, custom_objects=CUSTOM)
    if fresh:
        model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy", jit_compile=False)
    model.fit(x, y, batch_size=len(x), epochs=1, shuffle=False, verbose=0)
    model.save_weights(path + ".step.weights.h5")
    return arrays_of(path + ".step.weights.h5")


def distance(a, b):
    """Over all weights but the keys' biases: whatever they are, attention is the same, and their gradient is rounding alone."""
    names = [k for k in b if k.startswith("layers/") and not k.endswith("key_dense/vars/1")]
    return float(np.sqrt(sum(((a[k].astype("f8") - b[k]) ** 2).sum() for k in names)))


def check_run(program, scratch):
    """A batch is all samples: what one step does depends on no order. One more step of tubelet's is the truth."""
    rng = np.random.default_rng(11)
    splits = {"train": 12, "val": 4, "test": 4}
    data = {f"{k}_images": rng.random((n,) + LONE["clip"], dtype="f4") for k, n in splits.items()}
    data |= {f"{k}_labels": (np.arange(n) % 2).astype("u1")[:, None] for k, n in splits.items()}
    np.savez(os.path.join(scratch, "run.npz"), **data)
    for epochs in ("3", "4"):
        run = os.path.join(scratch, "run" + epochs)
        tubelet(program, "train", "--data", os.path.join(scratch, "run.npz"), "--tubelet", "2,2,2", "--hidden", "10", "--heads", "1",
                "--layers", "1", "--mlp", "7", "--batch-size", "12", "--attention-dropout", "0", "--lr", "1e-3", "--epochs", epochs, "--out", run, "--quiet")
        tubelet(program, "convert", run, run + ".keras", "--weights", "last", "--quiet")
        tubelet(program, "convert", run, run + ".weights.h5", "--weights", "last", "--quiet")
    before, truth = (arrays_of(os.path.join(scratch, f"run{n}.weights.h5")) for n in "34")
    steps = [step_of(os.path.join(scratch, "run3.keras"), data["train_images"], data["train_labels"], fresh) for fresh in (False, True)]
    moved = distance(before, truth)
    error, control = (distance(step, truth) / moved for step in steps)
    counted = int(steps[0]["optimizer/vars/0"]) == int(truth["optimizer/vars/0"]) == 4
    good = error <= STEP_LIMIT and control > 100 * STEP_LIMIT and counted
    print(f"\nKeras goes on with a run of tubelet's after 3 steps: its 4th step differs from tubelet's by {error:.1e} of the step "
          f"(at most {STEP_LIMIT:g} is allowed), without Adam's state by {control:.1e}.", flush=True)
    return good


@keras.saving.register_keras_serializable(package="tubelet", name="gelu_tanh")
def gelu_tanh(x):
    return keras.ops.gelu(x, approximate=True)


SIZES = {"lone": LONE, "odd": ODD, "example": EXAMPLE}


def print_head():
    print(f"Keras {keras.__version__}, jax {jax.__version__}, h5py {h5py.__version__}. Differences of logits as shares of the largest; "
          f"at most {LIMIT:g} is allowed.\n")
    print("| model | GELU | read from .keras | .keras loaded by Keras | .weights.h5 loaded by Keras | arrays | groups and names | "
          "Adam's state | refused without the lines | with the other GELU |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")


def main():
    program = os.path.abspath(sys.argv[1])
    if sys.argv[2:] == ["--head"]:
        return print_head()
    good = True
    with tempfile.TemporaryDirectory() as scratch:
        if sys.argv[2:] == ["--run"]:
            sys.exit(0 if check_run(program, scratch) else 1)
        for name in sys.argv[2:]:
            for gelu in ("tanh", "erf"):
                good = check(program, name, SIZES[name], gelu, scratch) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
