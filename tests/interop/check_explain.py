#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Explanations of tubelet against the real transformers library: its output_attentions, PyTorch's gradients of them and of
the clip, and the rollouts made of those with whole matrices (tools/explain_check.py).

  check_explain.py TUBELET      the program, e.g. build/app/tubelet

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
from transformers import VivitConfig, VivitForVideoClassification

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / 'tools'))
import explain_check

LIMIT = 1e-5  # of the largest number
POINTS = 48
MODELS = {
    'small': dict(num_frames=6, image_size=20, num_channels=3, tubelet_size=[2, 4, 5], hidden_size=48, num_hidden_layers=3,
                  num_attention_heads=4, intermediate_size=80),
    '1569 tokens': dict(num_frames=16, image_size=224, num_channels=3, tubelet_size=[2, 16, 16], hidden_size=64,
                        num_hidden_layers=2, num_attention_heads=4, intermediate_size=96),
}


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def compare(self, what, found, expected):
        error = np.abs(found - expected).max() / np.abs(expected).max()
        good = found.shape == expected.shape and error <= LIMIT
        self.passed += good
        self.failed += not good
        print(f'{"ok  " if good else "FAIL"} {what}: {error:.2e} of the largest number')


def random_model(changes):
    """Every array random: what starts at zero or one would hide a mistake."""
    model = VivitForVideoClassification(VivitConfig(**changes, attn_implementation='eager')).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * (0.3 if p.ndim == 1 else 0.12))
            if 'norm' in name and name.endswith('weight'):
                p.add_(1)
    return model.double()


def run(model, clip, target):
    """Attention [L, H, N, N], its gradient, and that of the clip [T, H, W, C]."""
    x = torch.from_numpy(clip).double().requires_grad_()
    out = model(x[None].permute(0, 1, 4, 2, 3), output_attentions=True)
    for a in out.attentions:
        a.retain_grad()
    out.logits[0, target].backward()
    stack = lambda arrays: torch.cat([a.detach() for a in arrays]).numpy()
    return stack(out.attentions), stack([a.grad for a in out.attentions]), x.grad.numpy()


def tubelet(program, folder, method, *options):
    prefix = folder / method
    done = subprocess.run([program, 'explain', folder, folder / 'clip.npy', '--method', method, '--out', prefix, '--raw',
                           '--force', '--json', '--quiet', *options], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout), lambda name: np.load(f'{prefix}{name}.npy').astype(float)


def check(program, checks, name, changes, root):
    model, folder, target = random_model(changes), root / name, 1
    model.float().save_pretrained(folder)
    model.double()
    size = changes['image_size']
    clip = np.random.default_rng(9).uniform(-1, 1, (changes['num_frames'], size, size, 3)).astype(np.float32)
    np.save(folder / 'clip.npy', clip)
    attention, gradients, _ = run(model, clip, target)
    grid = [changes['num_frames'] // changes['tubelet_size'][0]] + [size // t for t in changes['tubelet_size'][1:]]
    arrays = {'attention': attention, 'attention-gradients': gradients, 'pooling': np.eye(attention.shape[-1])[:1]}
    truth = explain_check.Attentions(dict(variant='joint', pooling='class_token'), grid, arrays.__getitem__, True)
    said, load = tubelet(program, folder, 'gradient-rollout', '--class', str(target))
    checks.compare(f'{name}: attention', load('-attention'), attention)
    checks.compare(f'{name}: gradients of attention', load('-attention-gradients'), gradients)
    checks.compare(f'{name}: gradient rollout', load('-cells'), truth.cells('gradient-rollout'))
    for method in ('rollout', 'attention'):
        _, load = tubelet(program, folder, method)
        checks.compare(f'{name}: {method}', load('-cells'), truth.cells(method))
    if name != 'small':
        return
    said, load = tubelet(program, folder, 'integrated-gradients', '--class', str(target), '--steps', str(POINTS), '--baseline', 'mean')
    mean = clip.mean((0, 1, 2), dtype=np.float64).astype(np.float32).astype(np.float64)
    slopes = np.stack([run(model, mean + share * (clip - mean), target)[2] for share in explain_check.places(POINTS) ** 3])
    checks.compare(f'{name}: gradients of the clip', load('-gradients'), slopes)
    checks.compare(f'{name}: integrated gradients', load(''), explain_check.integrated(clip, mean, slopes))


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
        for name, changes in MODELS.items():
            check(program, checks, name, changes, pathlib.Path(root))
    print(f'{checks.passed} passed, {checks.failed} failed')
    return int(checks.failed > 0)


if __name__ == '__main__':
    sys.exit(main())
