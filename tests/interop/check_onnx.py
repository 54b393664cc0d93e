#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX files of tubelet in the programs that people run them with.

  check_onnx.py TUBELET MAKER [PRESET...]      the program, and make_onnx_cases, e.g. build/app/tubelet build/tests/interop/make_onnx_cases

Presets: those alone, with arrays of their full size, instead of what is told here:

Each file passes onnx.checker with shapes inferred, and gives in onnxruntime and in OpenVINO (told to compute in float32) the logits of
tubelet, for batches of three and of one: no logit of a sample is off by more than 1e-5 of that sample's largest. So are probabilities. A
file with another GELU or another epsilon must not pass. What docs/onnx.md tells people to type is run, too. The last line is "N passed, N
failed". Needs requirements-onnx.txt beside this file.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import openvino

from checks import Checks

LIMIT = 1e-5
WRONG = ('wrong-gelu', 'wrong-epsilon')
ROOT = pathlib.Path(__file__).resolve().parents[2]


def off(found, expected):
    """Of the worst sample, in units of its largest number."""
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    return (np.abs(found - expected).max(1) / np.abs(expected).max(1)).max()


def in_onnxruntime(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return lambda clip: session.run(['logits', 'probabilities'], {'clip': clip})


def in_openvino(path):
    compiled = openvino.Core().compile_model(path, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32', 'INFERENCE_NUM_THREADS': 1})
    return lambda clip: [compiled(clip)[name].copy() for name in ('logits', 'probabilities')]


def check_structure(checks, folder):
    """What stands in the file beside the numbers."""
    path = str(folder / 'model.onnx')
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path, load_external_data=False)
    notes = {p.key: p.value for p in model.metadata_props}
    clip, logits = np.load(folder / 'clip.npy'), np.load(folder / 'logits.npy')
    kind = onnx.TensorProto.UINT8 if clip.dtype == np.uint8 else onnx.TensorProto.FLOAT
    batch = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    outside = [t for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    good = (model.opset_import[0].version == 17 and batch == ['N', *clip.shape[1:]]
            and model.graph.input[0].type.tensor_type.elem_type == kind
            and [o.name for o in model.graph.output] == ['logits', 'probabilities']
            and len(json.loads(notes['labels'])) == logits.shape[1]
            and len(json.loads(notes['config'])['id2label']) == logits.shape[1] and 'offset' in json.loads(notes['preprocessor_config'])
            and bool(outside) == (folder / 'model.onnx.data').exists())
    checks.note(f'{folder.name}: checker, input, outputs and metadata', good, f'{len(model.graph.node)} operations')


def check_engine(checks, folder, name, open_engine):
    clip, logits, probabilities = (np.load(folder / f'{f}.npy') for f in ('clip', 'logits', 'probabilities'))
    run = open_engine(str(folder / 'model.onnx'))
    three, one = run(clip), run(clip[1:2])
    errors = [off(three[0], logits), off(one[0], logits[1:2]), off(three[1], probabilities)]
    if folder.name in WRONG:
        checks.note(f'{folder.name} does not pass in {name}', min(errors[:2]) > 2 * LIMIT, f'{errors[0]:.2e} of the largest logit')
    else:
        checks.note(f'{folder.name} in {name}', max(errors) <= LIMIT, f'{max(errors):.2e} of the largest logit')


def check_cases(checks, maker, folder, *preset):
    subprocess.run([maker, str(folder), *preset], check=True)
    for case in sorted(folder.iterdir()):
        for what in (check_structure, lambda *a: check_engine(*a, 'onnxruntime', in_onnxruntime),
                     lambda *a: check_engine(*a, 'OpenVINO', in_openvino)):
            try:
                what(checks, case)
            except Exception as problem:  # one broken file must not hide the others
                checks.note(case.name, False, problem)


# ---- What docs/onnx.md says ----

def blocks():
    """(language, text) of each block of code."""
    text = (ROOT / 'docs' / 'onnx.md').read_text()
    return re.findall(r'^```(\w+)\n(.*?)^```$', text, re.M | re.S)


def make_world(tubelet, folder):
    """What the page's commands name: a run and a clip."""
    rng = np.random.default_rng(3)
    arrays = {f'{split}_{what}': rng.integers(0, 255 if what == 'images' else 3, (n, 8, 12, 12) if what == 'images' else (n, 1), np.uint8)
              for split, n in (('train', 12), ('val', 6), ('test', 6)) for what in ('images', 'labels')}
    np.savez(folder / 'small.npz', **arrays)
    subprocess.run([tubelet, 'train', '--data', 'small.npz', '--tubelet=4,4,4', '--hidden=16', '--heads=2', '--layers=1', '--mlp=24',
                    '--max-steps=2', '--threads=1', '--quiet', '--out', 'runs/first'], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    np.save(folder / 'clip.npy', rng.integers(0, 255, (8, 12, 12, 1), np.uint8))


def run_block(language, text, folder, path):
    """(whether it ran, what it said), or None where it can't be run here."""
    if language == 'sh':
        done = subprocess.run(['sh', '-ec', text], cwd=folder, env=path, capture_output=True, text=True)
    elif language == 'python':
        done = subprocess.run([sys.executable, '-c', text], cwd=folder, capture_output=True, text=True)
    else:
        compiler, package = shutil.which('g++'), pathlib.Path(openvino.__file__).parent
        if compiler is None:
            return None
        (folder / 'classify.cpp').write_text(text)
        library = next((package / 'libs').glob('libopenvino.so.*'))
        done = subprocess.run([compiler, '-std=c++17', 'classify.cpp', '-isystem', str(package / 'include'), str(library),
                               f'-Wl,-rpath,{package / "libs"}', '-o', 'classify'], cwd=folder, capture_output=True, text=True)
        if done.returncode == 0:
            done = subprocess.run(['./classify'], cwd=folder, capture_output=True, text=True)
    return done.returncode == 0, done.stdout if done.returncode == 0 else (done.stderr or done.stdout).strip()[-300:]


def check_page(checks, tubelet, folder):
    make_world(tubelet, folder)
    path = {**os.environ, 'PATH': f'{pathlib.Path(tubelet).parent}:{os.environ["PATH"]}'}
    expected = json.loads(subprocess.run([tubelet, 'predict', 'runs/first', 'clip.npy', '--json', '--quiet'], cwd=folder, check=True,
                                         capture_output=True, text=True).stdout)
    best = int(np.argmax(expected['probabilities']))
    label = json.loads((folder / 'runs' / 'first' / 'config.json').read_text())['id2label'][str(best)]
    words = {'python': f'{label} {expected["probabilities"][best]:.3f}', 'cpp': f'class {best} {expected["probabilities"][best]:.3f}'}
    for number, (language, text) in enumerate(blocks(), 1):
        result = run_block(language, text, folder, path)
        if result is None:
            print('skipped: the C++ of docs/onnx.md (no g++)')
            continue
        ran, output = result
        good = ran and (language == 'sh' or output.strip() == words[language])
        checks.note(f'docs/onnx.md, block {number} ({language})', good, words.get(language, 'runs') if good else output)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tubelet')
    parser.add_argument('maker')
    parser.add_argument('presets', nargs='*')
    arguments = parser.parse_args()
    checks = Checks()
    onnxruntime.set_default_logger_severity(3)
    for preset in arguments.presets:
        with tempfile.TemporaryDirectory() as folder:
            check_cases(checks, arguments.maker, pathlib.Path(folder), preset)
            sizes = ', '.join(f'{f.name} {f.stat().st_size:,} bytes' for f in sorted((pathlib.Path(folder) / preset).glob('*.onnx*')))
            print(f'{preset}: {sizes}')
    if arguments.presets:
        return checks.close()
    with tempfile.TemporaryDirectory() as folder:
        cases, page = pathlib.Path(folder) / 'cases', pathlib.Path(folder) / 'page'
        cases.mkdir()
        page.mkdir()
        check_cases(checks, arguments.maker, cases)
        check_page(checks, str(pathlib.Path(arguments.tubelet).resolve()), page)
    print(f'onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, OpenVINO {openvino.__version__.split("-")[0]}')
    return checks.close()


if __name__ == '__main__':
    sys.exit(main())
