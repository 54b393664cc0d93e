#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that the real Flax writes, read by tubelet.

  check_flax.py OPEN_SCENIC      the program tests/interop/open_scenic of a build

scenic itself can't be installed; its variant 1 is written here in NumPy, in float64, and held to scenic's own numbers where
../shared/golden/scenic is there. The last line is "N passed, N failed". Needs requirements.txt beside this file.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization

from checks import Checks

SHAPE = (8, 24, 16, 3)  # T, H, W, C
TUBELET, WIDTH, HEADS, MLP, LAYERS, CLASSES = (2, 8, 4), 24, 4, 48, 3, 6
GOLDEN = pathlib.Path(__file__).resolve().parents[3] / 'shared/golden/scenic/cases'


# ---- variant 1, forward ----

def dense(x, p):
    return np.tensordot(x, p['kernel'], 1) + p['bias']


def norm(x, p):
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-6) * p['scale'] + p['bias']


def attention(x, p):
    q, k, v = (dense(x, p[name]) for name in ('query', 'key', 'value'))  # [B, N, A, D/A]
    w = np.einsum('bqad,bkad->baqk', q, k) / np.sqrt(q.shape[-1])
    w = np.exp(w - w.max(-1, keepdims=True))
    heads = np.einsum('baqk,bkad->bqad', w / w.sum(-1, keepdims=True), v)
    return np.einsum('bqad,ado->bqo', heads, p['out']['kernel']) + p['out']['bias']


def mlp(x, p):
    x = dense(x, p['Dense_0'])
    return dense(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), p['Dense_1'])


def tokens(x, p):
    t, h, w, c, d = p['kernel'].shape
    b, T, H, W, _ = x.shape
    x = x.reshape(b, T // t, t, H // h, h, W // w, w, c).transpose(0, 1, 3, 5, 2, 4, 6, 7)
    return x.reshape(b, (T // t) * (H // h) * (W // w), -1) @ p['kernel'].reshape(-1, d) + p['bias']


def forward(clips, params):
    p = jax.tree.map(lambda a: np.asarray(a).astype(np.float64), params)
    x = tokens(clips.astype(np.float64), p['embedding'])
    if 'cls' in p:
        x = np.concatenate([np.broadcast_to(p['cls'], (len(x), 1, x.shape[-1])), x], 1)
    tower = p['Transformer']
    x = x + tower['posembed_input']['pos_embedding']
    for i in range(sum(name.startswith('encoderblock_') for name in tower)):
        b = tower[f'encoderblock_{i}']
        x = x + attention(norm(x, b['LayerNorm_0']), b['MultiHeadDotProductAttention_0'])
        x = x + mlp(norm(x, b['LayerNorm_1']), b['MlpBlock_0'])
    x = norm(x, tower['encoder_norm'])
    return dense(x[:, 0] if 'cls' in p else x.mean(1), p['output_projection'])


# ---- parameters ----

def random_params(token):
    rng = np.random.default_rng(4)
    k, c = WIDTH // HEADS, SHAPE[3]
    positions = np.prod([n // m for n, m in zip(SHAPE, TUBELET)]) + token

    def array(*shape, scale=0.2):
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    def layer(kernel, bias):
        return {'kernel': array(*kernel), 'bias': array(*bias)}

    def layer_norm():
        return {'scale': 1 + array(WIDTH), 'bias': array(WIDTH)}

    def block():
        heads = {name: layer((WIDTH, HEADS, k), (HEADS, k)) for name in ('query', 'key', 'value')}
        return {'LayerNorm_0': layer_norm(), 'LayerNorm_1': layer_norm(),
                'MultiHeadDotProductAttention_0': {**heads, 'out': layer((HEADS, k, WIDTH), (WIDTH,))},
                'MlpBlock_0': {'Dense_0': layer((WIDTH, MLP), (MLP,)), 'Dense_1': layer((MLP, WIDTH), (WIDTH,))}}

    return {**({'cls': array(1, 1, WIDTH)} if token else {}),
            'embedding': layer((*TUBELET, c, WIDTH), (WIDTH,)),
            'Transformer': {'posembed_input': {'pos_embedding': array(1, positions, WIDTH)},
                            **{f'encoderblock_{i}': block() for i in range(LAYERS)}, 'encoder_norm': layer_norm()},
            'output_projection': layer((WIDTH, CLASSES), (CLASSES,))}


def random_clips():
    return np.random.default_rng(6).uniform(-1, 1, (3, *SHAPE)).astype(np.float32)


# ---- states, as training programs keep them ----

def states(params):
    """Names of ways to keep parameters, each with the tree that is written and the parameters it holds."""
    momentum = jax.tree.map(np.zeros_like, params)
    rest = {'global_step': 5, 'model_state': {}, 'rng': jax.random.PRNGKey(0), 'none': None, 'text': 'a state'}
    yield 'optax', {'params': params, 'opt_state': {'0': {'mu': momentum, 'count': np.int32(5)}}, **rest}, params
    state = {'step': np.int32(5), 'param_states': momentum}
    yield 'flax.optim', {'optimizer': {'target': params, 'state': state}, **rest}, params
    yield 'flax.optim, older', {'optimizer': {'target': {'params': params}, 'state': {}}}, params
    yield 'parameters alone', params, params
    yield 'arrays of JAX', {'params': jax.tree.map(jnp.asarray, params)}, params
    for dtype in (jnp.bfloat16, np.float16, np.float64):
        rounded = jax.tree.map(lambda a, d=dtype: np.asarray(a).astype(d), params)
        yield f'arrays of {np.dtype(dtype).name}', {'params': rounded}, rounded
    frames_last = jax.tree.map(np.asfortranarray, params)
    yield 'arrays in Fortran order', {'params': frames_last}, params


def logits_of(program, path, clips, tree):
    path.write_bytes(serialization.msgpack_serialize(serialization.to_state_dict(tree)))
    np.save(path.with_suffix('.npy'), clips)
    done = subprocess.run([program, path, *map(str, SHAPE[:3]), path.with_suffix('.npy')], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return np.array([[float(word) for word in line.split()] for line in done.stdout.splitlines()])


def check_states(program, checks, folder):
    clips = random_clips()
    for token in (True, False):
        for name, tree, held in states(random_params(token)):
            for chunk in (2**30, 512):
                serialization.MAX_CHUNK_SIZE = chunk  # Flax's own constant: arrays above it are written in chunks
                what = f'{name}, {"class token" if token else "mean"}{"" if chunk > 512 else ", in chunks"}'
                checks.compare(what, lambda: (logits_of(program, folder / 'checkpoint', clips, tree),
                                              forward(clips, held)))


def check_forward(checks):
    """The forward pass above against scenic's own float64 numbers."""
    if not GOLDEN.is_dir():
        print(f'skipped: {GOLDEN} is not here')
        return
    for name in ('v1_cls', 'v1_gap'):
        with np.load(GOLDEN / name / 'params.npz') as arrays:
            params = flax.traverse_util.unflatten_dict({k: arrays[k] for k in arrays}, sep='/')
        truth = np.load(GOLDEN / name / 'io_f64.npz')['logits']
        checks.compare(f'scenic, {name}: the pass used here', lambda: (
            forward(np.load(GOLDEN / name / 'io.npz')['input'], params), truth))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('open_scenic', type=pathlib.Path)
    program = parser.parse_args().open_scenic.resolve()
    checks = Checks()
    print(f'flax {flax.__version__}, jax {jax.__version__}')
    check_forward(checks)
    with tempfile.TemporaryDirectory() as folder:
        check_states(program, checks, pathlib.Path(folder))
    return checks.close()


if __name__ == '__main__':
    sys.exit(main())
