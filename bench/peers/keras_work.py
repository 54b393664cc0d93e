# SPDX-License-Identifier: Apache-2.0
"""Keras's turn, on JAX: a function that does some steps or one forward pass."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from keras import layers, ops


class Positions(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=(1, *shape[1:]), initializer="random_normal")

    def call(self, x):
        return x + self.table


class ClassToken(layers.Layer):
    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[2]), initializer="zeros")

    def call(self, x):
        token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[2]))
        return ops.concatenate([ops.cast(token, x.dtype), x], 1)


def _block(model, x):
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    attention = layers.MultiHeadAttention(
        model.heads, model.width // model.heads, dropout=model.dropout
    )
    x = layers.Add()([attention(y, y), x])
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Dense(model.mlp, activation=ops.gelu)(y)
    y = layers.Dense(model.width, activation=ops.gelu if model.output_gelu else None)(y)
    return layers.Add()([y, x])


def _build(model):
    clip = layers.Input(model.clip)
    x = layers.Conv3D(model.width, model.tubelet, strides=model.tubelet)(clip)
    x = layers.Reshape((-1, model.width))(x)
    x = Positions()(ClassToken()(x) if model.class_token else x)
    for _ in range(model.layers):
        x = _block(model, x)
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    x = x[:, 0] if model.class_token else layers.GlobalAveragePooling1D()(x)
    return keras.Model(clip, layers.Dense(model.classes, dtype="float32")(x))


def prepare(row):
    keras.utils.set_random_seed(0)
    if row.precision == "bf16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    return (_training if row.training else _inference)(row, _build(row.model))


def _training(row, model):
    # Keras is fast only where it goes over data by itself: one call is all steps of a turn.
    count = row.batch * row.repeats
    volumes = np.random.rand(count, *row.model.clip).astype("float32")
    labels = np.arange(count, dtype="int32") % row.model.classes
    model.compile(
        optimizer=keras.optimizers.Adam(1e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def steps():
        model.fit(volumes, labels, batch_size=row.batch, verbose=0, shuffle=False)

    steps.calls = row.repeats
    return steps


def _inference(row, model):
    trained = [v.value for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]
    call = jax.jit(lambda x: model.stateless_call(trained, others, x, training=False)[0])
    volumes = jax.numpy.asarray(np.random.rand(row.batch, *row.model.clip), dtype="float32")
    return lambda: call(volumes).block_until_ready()
