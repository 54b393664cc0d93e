#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trainings of tubelet that start from ViTs of the real transformers library.

  check_start.py TUBELET      the program, e.g. build/app/tubelet

Random small ViTs, as transformers saves them: every array of the new model against NumPy's own inflation and resizing, and what the
real ViT answers to a picture against what tubelet answers to a clip that shows it. The last line is "N passed, N failed". Needs
requirements.txt beside this file.
"""
import argparse
import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file
from transformers import ViTConfig, ViTForImageClassification, ViTModel

from check_transformers import tubelet, tubelet_logits, write_data
from checks import Checks

SMALL = dict(hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=80, image_size=[20, 24], patch_size=4,
             num_channels=3, num_labels=4)
CLIP = (6, 20, 24, 3)
KERNEL = 'vivit.embeddings.patch_embeddings.projection.weight'
POSITIONS = 'vivit.embeddings.position_embeddings'

CONFIGS = {
    'ViT': {},
    'tanh GELU, no qkv bias': dict(hidden_act='gelu_pytorch_tanh', qkv_bias=False),
    'another epsilon': dict(layer_norm_eps=1e-4),
}


def randomise(model):
    """Every array random: what starts at zero or one would hide a mistake."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * (0.3 if p.ndim == 1 else 0.12))
            if 'norm' in name and name.endswith('weight'):
                p.add_(1)
    return model.eval()


def start(program, data, source, run, *options):
    """The arrays that a training begins with: its rate is too small to move any of them."""
    done = tubelet(program, 'train', '--data', data, '--init-from', source, '--out', run, '--max-steps=1', '--lr=0', '--quiet', *options)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return load_file(run / 'model.safetensors')


# ---- NumPy's own rules ----

def weights(kind, t):
    if kind == 'central':
        return np.eye(t)[t // 2]
    if kind == 'average':
        return np.full(t, 1 / t)
    harmonic = np.concatenate([[0], np.cumsum(1 / np.arange(1, t + 1))])
    i = np.arange(1, t + 1)
    return (2 * (t - i + 1) - (t + 1) * (harmonic[t] - harmonic[i - 1])) / t


def inflated(kernel, kind, t):
    """[D, C, h, w] to [D, C, t, h, w]."""
    return (kernel[:, :, None].astype(np.float64) * weights(kind, t)[:, None, None]).astype(np.float32)


def resized(table, size):
    """[h, w, D]: linear, ends on ends, one axis after the other."""
    for axis, m in enumerate(size):
        place = np.linspace(0, table.shape[axis] - 1, m)
        low = np.minimum(place.astype(int), table.shape[axis] - 1)
        high = np.minimum(low + 1, table.shape[axis] - 1)
        share = (place - low).reshape([-1 if a == axis else 1 for a in range(3)])
        table = np.take(table, low, axis) * (1 - share) + np.take(table, high, axis) * share
    return table


def names_there(model):
    """transformers' arrays by the names here."""
    return {name.replace('vit.', 'vivit.', 1): value.detach().numpy() for name, value in published(model).items()}


def published(model):
    """By the names of model.safetensors, which newer modules spell otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return {name: torch.from_numpy(value) for name, value in load_file(f'{folder}/model.safetensors').items()}


# ---- Checks ----

def check_arrays(program, checks, root, data):
    model = randomise(ViTForImageClassification(ViTConfig(**SMALL)))
    model.save_pretrained(root / 'vit')
    there = names_there(model)
    for kind in ('central', 'average', 'arp'):
        for t in (1, 2, 3):
            here = start(program, data, root / 'vit', root / f'run {kind} {t}', f'--init-kernel={kind}', f'--tubelet={t},4,4')
            error = np.abs(here[KERNEL] - (inflated(there[KERNEL], kind, t) if t > 1 else there[KERNEL][:, :, None])).max()
            checks.note(f'kernel, {kind}, {t} frames', error <= 3e-8, f'within {error:.1e}')
            table = np.tile(there[POSITIONS][0, 1:], (6 // t, 1))
            same = np.array_equal(here[POSITIONS][0], np.concatenate([there[POSITIONS][0, :1], table]))
            checks.note(f'positions, {6 // t} times', same, 'the same bits' if same else 'other bits')
    others = [name for name in there if name not in (KERNEL, POSITIONS)]
    wrong = [name for name in others if not np.array_equal(here[name], there[name])]
    checks.note('all other arrays', not wrong, wrong or f'{len(others)} with the same bits')
    return model


def check_positions(program, checks, root, data):
    model = randomise(ViTForImageClassification(ViTConfig(**{**SMALL, 'image_size': [28, 16]})))
    model.save_pretrained(root / 'other picture')
    there = names_there(model)[POSITIONS][0]
    grid = there[1:].reshape(7, 4, -1)
    here = start(program, data, root / 'other picture', root / 'run linear')[POSITIONS][0, 1:31]
    error = np.abs(here - resized(grid.astype(np.float64), (5, 6)).reshape(30, -1)).max()
    checks.note('positions of 7x4 to 5x6, linear', error <= 1e-7, f'within {error:.1e}')
    here = start(program, data, root / 'other picture', root / 'run bicubic', '--init-positions=bicubic')[POSITIONS][0, 1:31]
    torch_grid = torch.from_numpy(grid).double().permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(torch_grid, size=(5, 6), mode='bicubic', align_corners=False)
    error = np.abs(here - expected[0].permute(1, 2, 0).reshape(30, -1).numpy()).max()
    checks.note('positions of 7x4 to 5x6, bicubic against torch', error <= 1e-6, f'within {error:.1e}')


def check_answers(program, checks, root, data):
    """One tubelet as long as the clip: the frame in its middle is all that the model sees, and it answers as the ViT does."""
    rng = np.random.default_rng(4)
    clips = rng.uniform(-1, 1, (3, *CLIP)).astype(np.float32)
    for name, changes in CONFIGS.items():
        model = randomise(ViTForImageClassification(ViTConfig(**{**SMALL, **changes})))
        folder, run = root / name, root / f'run {name}'
        model.save_pretrained(folder)
        start(program, data, folder, run, '--tubelet=6,4,4')
        with torch.no_grad():
            pictures = torch.from_numpy(clips[:, 3]).double().permute(0, 3, 1, 2)
            expected = model.double()(pixel_values=pictures).logits.numpy()
        checks.compare(f'answers: {name}', lambda: (tubelet_logits(program, run, clips), expected))


def check_others(program, checks, root, data):
    ViTModel(ViTConfig(**SMALL)).save_pretrained(root / 'encoder')
    start(program, data, root / 'encoder', root / 'run encoder')
    rows = {row['here']: row['what'] for row in json.loads((root / 'run encoder/init.json').read_text())['arrays']}
    checks.note('ViTModel: a fresh classifier', rows['classifier.weight'] == 'fresh' and rows['vivit.layernorm.bias'] == 'copied',
                f'{len(rows)} rows')
    model = randomise(ViTForImageClassification(ViTConfig(**SMALL)))
    model.save_pretrained(root / 'in files', max_shard_size='60KB')
    assert (root / 'in files/model.safetensors.index.json').exists()
    here, there = start(program, data, root / 'in files', root / 'run in files'), names_there(model)
    name = 'vivit.encoder.layer.2.output.dense.weight'
    checks.note('in several files', np.array_equal(here[name], there[name]), name)
    done = tubelet(program, 'train', '--data', data, '--init-from', root / 'vit', '--hidden=32', '--out', root / 'never')
    checks.expect_refused('another width', done, 'its model.hidden is 48, this model\'s 32')
    checks.note('nothing is written then', not (root / 'never').exists(), 'no folder')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tubelet', type=pathlib.Path)
    program = parser.parse_args().tubelet.resolve()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    checks = Checks()
    print(f'transformers {transformers.__version__}, torch {torch.__version__}')
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        write_data(root / 'data.npz', CLIP, 4)
        for check in (check_arrays, check_positions, check_answers, check_others):
            check(program, checks, root, root / 'data.npz')
    return checks.close()


if __name__ == '__main__':
    sys.exit(main())
