# SPDX-License-Identifier: Apache-2.0
"""Makes the small ViTs beside this file: folders of the real FlaxViT, checkpoints of the real vision_transformer, and their logits.

    python make_files.py VISION_TRANSFORMER_FOLDER

The folder is a checkout of google-research/vision_transformer; needs transformers 4 (5 has no Flax), jax, flax and optax.
Parameters are random, biases and norms too, so that no array can stand in another one's place unseen.
"""
import functools
import os
import sys
import types

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, sys.argv[1])
os.environ["JAX_PLATFORMS"] = "cpu"

import flax
import jax
import jax.experimental
import jax.numpy as jnp
import numpy as np
import optax
from flax.training import checkpoints
from transformers import FlaxViTForImageClassification, FlaxViTModel, ViTConfig
from vit_jax import models_vit

CLASSES, SIDE, PATCH, HIDDEN, HEADS, LAYERS, MLP = 5, 24, 8, 12, 3, 2, 20
flax.config.update("flax_use_orbax_checkpointing", False)
rng = np.random.default_rng(20)
numbers = {"pixels": rng.uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)}


def random(tree):
    return jax.tree_util.tree_map(lambda v: (0.3 * rng.standard_normal(v.shape)).astype(np.float32), tree)


def in_double(call):
    """What a model gives for parameters of float32, computed in float64."""
    with jax.experimental.enable_x64():
        return np.asarray(call(lambda tree: jax.tree_util.tree_map(lambda v: jnp.asarray(v, jnp.float64), tree)))


def transformers(name, kind, **settings):
    config = ViTConfig(hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=MLP,
                       image_size=SIDE, patch_size=PATCH, num_labels=CLASSES, **settings)
    model = kind(config, seed=1)
    params = random(jax.device_get(model.params))
    model.save_pretrained(f"{here}/{name}", params=params)
    pixels = numbers["pixels"].transpose(0, 3, 1, 2)
    out = in_double(lambda wide: kind(config, dtype=jnp.float64)(wide(pixels), params=wide(params))[0])
    numbers[name] = out[:, 0] if kind is FlaxViTModel else out  # the class token's row after the last norm


def vision_transformer(name, state_of, **settings):
    model = models_vit.VisionTransformer(**{
        **dict(num_classes=CLASSES, hidden_size=HIDDEN, patches=types.SimpleNamespace(size=(PATCH, PATCH)),
               transformer=dict(num_layers=LAYERS, mlp_dim=MLP, num_heads=HEADS)), **settings})
    pixels = numbers["pixels"]
    params = random(jax.device_get(model.init(jax.random.PRNGKey(0), pixels, train=False)["params"]))
    checkpoints.save_checkpoint(f"{here}/{name}", state_of(params), 7, overwrite=True)
    block = models_vit.Encoder1DBlock
    models_vit.Encoder1DBlock = functools.partial(block, dtype=jnp.float64)
    numbers[name] = in_double(lambda wide: model.apply({"params": wide(params)}, wide(pixels), train=False))
    models_vit.Encoder1DBlock = block


def training_state(params):
    """What vit_jax/train.py stores: parameters, the optimiser's state, the step."""
    optimizer = optax.sgd(0.03, momentum=0.9, accumulator_dtype="bfloat16")
    return params, optimizer.init(params), 7


transformers("classifier", FlaxViTForImageClassification)
transformers("no_qkv_bias", FlaxViTForImageClassification, qkv_bias=False, hidden_act="gelu_new")
transformers("encoder", FlaxViTModel)
vision_transformer("training", training_state)
vision_transformer("representation", lambda params: params, classifier="gap", representation_size=7,
                   patches=types.SimpleNamespace(size=(PATCH, PATCH // 2)))
np.savez_compressed(f"{here}/numbers.npz", **numbers)
