#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records tests/golden/clips: what the real transformers makes of uint8 clips, from levels to logits.

  record_clips.py FOLDER      writes clip.npy and a model folder for each setting, with logits.json in it

The image processor prepares the clip as each folder's preprocessor_config.json says; the logits are the model's in float64.
Needs requirements.txt beside this file.
"""
import argparse
import json
import pathlib

import numpy as np
import torch
import transformers
from transformers import VivitConfig, VivitForVideoClassification, VivitImageProcessor

SIZES = dict(num_frames=4, image_size=16, num_channels=3, tubelet_size=[2, 8, 8], hidden_size=16, num_hidden_layers=2,
             num_attention_heads=2, intermediate_size=24, num_labels=3)

# As published files are (no offset, which means true), as models are trained (-1 to 1), and odd sizes.
SETTINGS = {
    'published': dict(do_resize=True, size={'shortest_edge': 20}, do_center_crop=True, crop_size={'height': 16, 'width': 16},
                      do_rescale=True, rescale_factor=1 / 127.5, do_normalize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3),
    'trained': dict(do_resize=True, size={'shortest_edge': 20}, do_center_crop=True, crop_size={'height': 16, 'width': 16},
                    do_rescale=True, rescale_factor=1 / 127.5, offset=True, do_normalize=False),
    'padded': dict(do_resize=True, size={'height': 13, 'width': 31}, resample=3, do_center_crop=True,
                   crop_size={'height': 16, 'width': 16}, do_rescale=True, rescale_factor=1 / 255, offset=False, do_normalize=True,
                   image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]),
}


def random_model():
    model = VivitForVideoClassification(VivitConfig(**SIZES)).double().eval()
    generator = torch.Generator().manual_seed(8)
    with torch.no_grad():
        for name, p in model.named_parameters():
            values = torch.randn(p.shape, generator=generator) * (0.3 if p.ndim == 1 else 0.2)
            p.copy_((values + ('norm' in name and name.endswith('weight'))).float())
    return model


def clip():
    """Frames of no even size, smooth and noisy parts, and levels at both ends."""
    rng = np.random.default_rng(12)
    t, h, w, c = np.meshgrid(np.arange(4), np.arange(37), np.arange(53), np.arange(3), indexing='ij')
    waves = 127 + 127 * np.sin(0.3 * h + 0.17 * w * (c + 1) + t)
    noise = rng.integers(0, 256, waves.shape)
    return np.where((h + w) % 40 < 20, waves, noise).round().astype(np.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=pathlib.Path)
    root = parser.parse_args().folder
    root.mkdir(parents=True, exist_ok=True)
    levels, model = clip(), random_model()
    np.save(root / 'clip.npy', levels)
    for name, setting in SETTINGS.items():
        folder = root / name
        model.float().save_pretrained(folder)
        text = json.dumps({'image_processor_type': 'VivitImageProcessor', **setting}, indent=2)
        (folder / 'preprocessor_config.json').write_text(text + '\n')
        processor = VivitImageProcessor.from_pretrained(folder)
        pixels = processor([list(levels)], return_tensors='pt', input_data_format='channels_last')['pixel_values']
        with torch.no_grad():
            logits = model.double()(pixels.double()).logits[0].tolist()
        record = {'transformers': transformers.__version__, 'least': pixels.min().item(), 'greatest': pixels.max().item(),
                  'logits': logits}
        (folder / 'logits.json').write_text(json.dumps(record, indent=2) + '\n')
        print(name, record)


if __name__ == '__main__':
    main()
