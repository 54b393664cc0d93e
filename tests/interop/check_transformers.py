#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Model folders between tubelet and the real transformers library, both ways.

  check_transformers.py TUBELET      the program, e.g. build/app/tubelet

transformers writes, tubelet answers: every kind of folder, logits against the same model in float64.
tubelet trains and writes, transformers answers: no missing, no unexpected key, the same logits.
The last line is "N passed, N failed". Needs requirements.txt beside this file.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import VivitConfig, VivitForVideoClassification, VivitImageProcessor, VivitModel

from checks import Checks

SMALL = dict(num_frames=6, image_size=20, num_channels=3, tubelet_size=[2, 4, 5], hidden_size=48, num_hidden_layers=3,
             num_attention_heads=4, intermediate_size=80)

# What a folder of transformers may differ in.
CONFIGS = {
    'gelu_fast': {},
    'gelu': dict(hidden_act='gelu'),
    'gelu_new': dict(hidden_act='gelu_new'),
    'gelu_pytorch_tanh': dict(hidden_act='gelu_pytorch_tanh'),
    'no qkv bias': dict(qkv_bias=False),
    'picture given as a list, one channel': dict(image_size=[18, 23], num_channels=1),
    'epsilon': dict(layer_norm_eps=1e-3),
    'sizes that leave a rest': dict(num_frames=7, image_size=22),
    'eleven labels': dict(num_labels=11),
}


def random_model(**changes):
    """Every array random: what starts at zero or one would hide a mistake."""
    model = VivitForVideoClassification(VivitConfig(**{**SMALL, **changes})).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * (0.3 if p.ndim == 1 else 0.12))
            if 'norm' in name and name.endswith('weight'):
                p.add_(1)
    return model


def clips_for(config, count=3):
    height, width = config.image_size if isinstance(config.image_size, (list, tuple)) else [config.image_size] * 2
    rng = np.random.default_rng(9)
    return rng.uniform(-1, 1, (count, config.num_frames, height, width, config.num_channels)).astype(np.float32)


def torch_logits(model, clips):
    """In float64: [B, T, H, W, C] to [B, K]."""
    model = model.double().eval()
    with torch.no_grad():
        return model(torch.from_numpy(clips).double().permute(0, 1, 4, 2, 3)).logits.numpy()


def tubelet(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)


def tubelet_logits(program, folder, clips, *options):
    np.save(folder / 'clips.npy', clips)
    done = tubelet(program, 'predict', folder, folder / 'clips.npy', '--json', *options)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return np.array([json.loads(line)['logits'] for line in done.stdout.splitlines()])


# ---- transformers writes ----

def save_as(model, folder, how):
    if how == 'as the library saves':
        model.save_pretrained(folder)
    elif how == 'in several files':
        model.save_pretrained(folder, max_shard_size='60KB')
        assert (folder / 'model.safetensors.index.json').exists() and not (folder / 'model.safetensors').exists()
    else:  # the modules' own names
        model.config.architectures = ['VivitForVideoClassification']
        model.config.save_pretrained(folder)
        arrays = {k: v.contiguous() for k, v in model.state_dict().items()}
        if how == 'without the prefix':
            arrays = {k.removeprefix('vivit.'): v for k, v in arrays.items()}
        save_file(arrays, folder / 'model.safetensors', metadata={'format': 'pt'})


def check_reading(program, checks, root):
    for name, changes in CONFIGS.items():
        for how in ('as the library saves', 'in several files', 'new spelling', 'without the prefix'):
            model = random_model(**changes)
            folder = root / f'{name}, {how}'
            folder.mkdir()
            save_as(model, folder, how)
            clips = clips_for(model.config)
            checks.compare(f'read: {name}, {how}', lambda: (tubelet_logits(program, folder, clips),
                                                            torch_logits(model, clips)))
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        model = random_model().to(dtype)
        folder = root / str(dtype)
        model.save_pretrained(folder)
        clips = clips_for(model.config)
        checks.compare(f'read: weights in {dtype}', lambda: (tubelet_logits(program, folder, clips),
                                                            torch_logits(model, clips)))
    folder = root / 'backbone'
    VivitModel(VivitConfig(**SMALL)).save_pretrained(folder)
    np.save(folder / 'clips.npy', clips)
    checks.expect_refused('read: VivitModel, which has no classifier',
                          tubelet(program, 'predict', folder, folder / 'clips.npy'), 'VivitModel')


# ---- tubelet writes ----

def write_data(path, shape, classes):
    rng = np.random.default_rng(3)
    arrays = {}
    for split, count in (('train', 24), ('val', 8), ('test', 8)):
        arrays[f'{split}_images'] = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        arrays[f'{split}_labels'] = (np.arange(count) % classes).reshape(-1, 1).astype(np.uint8)
    np.savez(path, **arrays)
    return arrays


RUNS = {
    'class token': [],
    'erf': ['--gelu=erf'],
    'no qkv bias': ['--qkv-bias=false'],
    'epsilon, other sizes': ['--norm-epsilon=1e-5', '--heads=2', '--layers=1', '--mlp=50'],
}


def train(program, data, folder, options):
    done = tubelet(program, 'train', '--data', data, '--out', folder, '--pooling=class_token', '--mlp-output-gelu=false',
                   '--tubelet=2,4,5', '--hidden=32', '--heads=4', '--layers=3', '--mlp=64', '--epochs=2', '--lr=1e-2',
                   '--batch-size=8', '--quiet', *options)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())


def load(folder):
    """The real library's model, which must find each array it has and no other."""
    model, info = VivitForVideoClassification.from_pretrained(folder, output_loading_info=True)
    wrong = {key: list(info[key]) for key in ('missing_keys', 'unexpected_keys', 'mismatched_keys') if info[key]}
    if wrong:
        raise RuntimeError(f'transformers: {wrong}')
    return model


def prepared(folder, clips):
    """uint8 clips as the real image processor prepares them by the folder's file; pictures come as [H, W, C]."""
    processor = VivitImageProcessor.from_pretrained(folder)
    out = processor([list(clip) for clip in clips], return_tensors='np', input_data_format='channels_last')
    return out['pixel_values'].transpose(0, 1, 3, 4, 2)


def check_writing(program, checks, root):
    shape = (6, 20, 25, 3)
    arrays = write_data(root / 'data.npz', shape, 4)
    for name, options in RUNS.items():
        folder = root / f'run {name}'
        try:
            train(program, root / 'data.npz', folder, options)
            model = load(folder)
        except Exception as problem:
            checks.note(f'written: {name}', False, problem)
            continue
        checks.note(f'written: {name}: no missing, no unexpected key', True, f'{len(model.state_dict())} arrays')
        clips = clips_for(model.config)
        checks.compare(f'written: {name}, float32', lambda: (tubelet_logits(program, folder, clips),
                                                             torch_logits(model, clips)))
        levels = arrays['test_images']
        checks.compare(f'written: {name}, uint8 by its preprocessor_config.json',
                       lambda: (tubelet_logits(program, folder, levels), torch_logits(model, prepared(folder, levels))))
        again = root / f'again {name}'
        model.float().save_pretrained(again)
        checks.compare(f'written: {name}, saved again by transformers',
                       lambda: (tubelet_logits(program, again, clips), torch_logits(model, clips)))


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
    with tempfile.TemporaryDirectory() as root:
        check_reading(program, checks, pathlib.Path(root))
        check_writing(program, checks, pathlib.Path(root))
    return checks.close()


if __name__ == '__main__':
    sys.exit(main())
