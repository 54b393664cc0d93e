#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Event files of tubelet's trainings, read by TensorBoard itself.

  check_events.py TUBELET      the program, e.g. build/app/tubelet

Every scalar against log.csv to the last bit of float32, of runs that were interrupted, too; pictures against the samples, histograms
against NumPy's of the weights in model.safetensors, texts against the recipe, and the table of hyperparameters as TensorBoard's plugin
makes it. The last line is "N passed, N failed". Needs requirements-events.txt beside this file.
"""
import argparse
import csv
import glob
import io
import json
import logging
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import types

sys.modules['tensorboard.compat.notf'] = types.ModuleType('notf')  # TensorBoard's own stand-in for TensorFlow
import numpy as np
import tensorboard
from PIL import Image
from tensorboard.backend.event_processing import data_provider, plugin_event_accumulator, plugin_event_multiplexer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

from checks import Checks

logging.getLogger('tensorboard').setLevel(logging.ERROR)  # it tells of each restart

CLIP = (5, 8, 9)
LABELS = 3
TAGS = {'epoch': 'run/epoch', 'seconds': 'run/seconds', 'train_loss': 'loss/train', 'train_top1': 'top1/train',
        'train_top5': 'top5/train', 'val_loss': 'loss/val', 'val_top1': 'top1/val', 'val_top5': 'top5/val', 'val_auc': 'auc/val',
        'lr': 'run/lr', 'data_wait': 'run/data_wait'}
SMALL = ['--tubelet=5,4,3', '--hidden=16', '--heads=2', '--layers=1', '--mlp=24', '--batch-size=8', '--threads=1', '--quiet']


def train(program, *arguments):
    done = subprocess.run([program, 'train', *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done


def write_data(path):
    rng = np.random.default_rng(2)
    counts = {'train': 40, 'val': 12, 'test': 12}
    arrays = {}
    for split, n in counts.items():
        labels = np.arange(n)[:, None] % LABELS
        images = rng.integers(0, 256, (n, *CLIP), np.uint8)
        images[:, :, 2:5, 2:5] = (labels * 90)[:, :, None, None]
        arrays |= {f'{split}_images': images, f'{split}_labels': labels.astype(np.uint8)}
    np.savez(path, **arrays)
    return arrays


def accumulate(run):
    """All that TensorBoard's reader keeps of a run, nothing thinned out."""
    kinds = ('scalars', 'images', 'histograms', 'tensors', 'compressedHistograms', 'audio')
    reader = EventAccumulator(str(run), size_guidance={kind: 0 for kind in kinds})
    return reader.Reload()


def rows_of(run):
    with open(run / 'log.csv') as file:
        return list(csv.DictReader(file))


def weights_of(run):
    """The arrays of model.safetensors."""
    data = (run / 'model.safetensors').read_bytes()
    size = struct.unpack('<Q', data[:8])[0]
    head = json.loads(data[8:8 + size])
    arrays = {}
    for name, entry in head.items():
        if name != '__metadata__':
            begin, end = entry['data_offsets']
            arrays[name] = np.frombuffer(data[8 + size + begin:8 + size + end], '<f4')
    return arrays


# ---- Checks ----

def check_scalars(checks, what, run):
    """Curves of each column: the steps and values of the log, each once and to the last bit."""
    reader, rows, wrong, points = accumulate(run), rows_of(run), [], 0
    for column, tag in TAGS.items():
        expected = [(int(row['step']), np.float32(row[column])) for row in rows if row[column] != '']
        found = [(e.step, np.float32(e.value)) for e in reader.Scalars(tag)] if expected else []
        points += len(found)
        if [(s, v.tobytes()) for s, v in found] != [(s, v.tobytes()) for s, v in expected]:
            wrong.append(f'{tag} {found} is not {expected}')
    others = set(reader.Tags()['scalars']) - set(TAGS.values())
    checks.note(f'scalars, {what}', not wrong and not others and points > 0,
                wrong or others or f'{points} numbers of {len(rows)} epochs, the same bits')
    with open(run / 'log.jsonl') as file:
        lines = [json.loads(line) for line in file]
    same = [{k: '' if v is None else float(v) for k, v in line.items()} for line in lines] == \
        [{k: '' if v == '' else float(v) for k, v in row.items()} for row in rows]
    checks.note(f'log.jsonl, {what}', same, f'{len(lines)} lines, the numbers of log.csv')


def check_run(program, checks, root, data):
    run = root / 'plain'
    train(program, '--data', root / 'data.npz', *SMALL, '--epochs=3', '--events=true', '--events-histograms=2', '--events-images=3', '--out', run)
    check_scalars(checks, 'an uninterrupted run', run)
    check_texts(checks, run)
    check_images(checks, run, data)
    check_histograms(checks, run)
    check_cut(checks, run, root)


def check_texts(checks, run):
    reader = accumulate(run)
    texts = {tag: reader.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in reader.Tags()['tensors']}
    recipe = f'```yaml\n{(run / "recipe.yaml").read_text()}\n```'
    checks.note('text: the recipe', texts.get('recipe/text_summary') == recipe, f'{len(recipe)} bytes')
    command = texts.get('command/text_summary', '')
    good = command.startswith('```sh\ntubelet train --data ') and f'--out {run}' in command
    checks.note('text: the command', good, command.splitlines()[1:2])
    plugins = {reader.SummaryMetadata(tag).plugin_data.plugin_name for tag in texts}
    checks.note('text: the plugin', plugins == {'text'}, plugins)


def check_images(checks, run, data):
    """The samples of the first batch, as they are: without augmentation each is one of the set."""
    reader, wrong = accumulate(run), []
    tags = reader.Tags()['images']
    for tag in tags:
        image = reader.Images(tag)[0]
        pixels = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)))
        frames = pixels.reshape(CLIP[1], CLIP[0], CLIP[2]).transpose(1, 0, 2)
        match = np.nonzero((data['train_images'] == frames).all((1, 2, 3)))[0]
        if len(match) != 1 or (image.height, image.width) != (CLIP[1], CLIP[0] * CLIP[2]) or image.step != 0:
            wrong.append(tag)
    checks.note('images: samples of the set', len(tags) == 3 and not wrong, wrong or tags)


def check_histograms(checks, run):
    reader, weights, wrong = accumulate(run), weights_of(run), []
    last = int(rows_of(run)[-1]['step'])
    for name, array in weights.items():
        event = reader.Histograms(f'weights/{name}')[-1]
        h, values = event.histogram_value, array.astype(np.float64)
        if values.min() == values.max():
            counts, edges = np.array([len(values)]), np.array([values[0] - 0.5, values[0] + 0.5])
        else:
            counts, edges = np.histogram(values, 30)
        good = event.step == last and h.min == values.min() and h.max == values.max() and h.num == len(values) and \
            h.bucket == [0, *counts] and h.bucket_limit == list(edges) and \
            np.isclose(h.sum, values.sum(), 1e-12, 1e-12) and np.isclose(h.sum_squares, values @ values, 1e-12, 0)
        if not good:
            wrong.append(name)
    checks.note('histograms of the weights', not wrong and len(weights) > 10, wrong or f'{len(weights)} arrays, counted as NumPy does')
    steps = {tuple(e.step for e in reader.Histograms(tag)) for tag in reader.Tags()['histograms']}
    rows = rows_of(run)
    checks.note('histograms in epochs 1 and 3', steps == {(int(rows[0]['step']), int(rows[2]['step']))}, steps)
    gradients = [tag for tag in reader.Tags()['histograms'] if tag.startswith('gradients/')]
    moved = [tag for tag in gradients if reader.Histograms(tag)[0].histogram_value.sum_squares > 0]
    checks.note('histograms of the gradients', len(gradients) == len(weights) and len(moved) > 0.8 * len(gradients),
                f'{len(moved)} of {len(gradients)} are not zero')


def check_cut(checks, run, root):
    """A file that ends anywhere inside its last record reads up to the one before."""
    (path,) = glob.glob(str(run / 'events.out.tfevents.*'))
    data, offsets = pathlib.Path(path).read_bytes(), [0]
    while offsets[-1] < len(data):
        offsets.append(offsets[-1] + 16 + struct.unpack_from('<Q', data, offsets[-1])[0])
    folder, wrong = root / 'cut', []
    folder.mkdir()
    for size in (offsets[-1] - 1, offsets[-2] + 13, offsets[-2] + 5, offsets[-2]):
        (folder / 'events.out.tfevents.1700000000.tubelet').write_bytes(data[:size])
        tags = accumulate(folder).Tags()
        if sorted(tags['scalars']) != sorted(accumulate(run).Tags()['scalars']):
            wrong.append(size)
    checks.note('a file that was cut', offsets[-1] == len(data) and not wrong, f'{len(offsets) - 1} records')


def check_resumed(program, checks, root):
    reference, run = root / 'reference', root / 'resumed'
    options = ['--data', root / 'data.npz', *SMALL, '--checkpoint-every=2', '--events-histograms=1']
    train(program, *options, '--epochs=5', '--out', reference)
    train(program, *options, '--epochs=4', '--max-steps=8', '--out', run)  # ends in the second epoch, which has a row and events
    check_scalars(checks, 'a run that ended inside an epoch', run)
    train(program, '--resume', run, '--max-steps=0', '--quiet')
    check_scalars(checks, 'the same, gone on with', run)
    early = root / 'early'
    shutil.copytree(run / 'checkpoint', early)
    log = (run / 'log.csv').read_bytes()
    train(program, '--resume', run, '--epochs=5', '--quiet')
    check_scalars(checks, 'the same with more epochs', run)
    # As if it had been killed behind the last epoch's log and before its checkpoint.
    shutil.rmtree(run / 'checkpoint')
    shutil.copytree(early, run / 'checkpoint')
    (run / 'metrics.json').unlink()
    checks.note('the log is ahead of the checkpoint', (run / 'log.csv').read_bytes() != log, '1 epoch')
    train(program, '--resume', run, '--quiet')
    check_scalars(checks, 'the same after a kill', run)
    files = sorted(glob.glob(str(run / 'events.out.tfevents.*')))
    checks.note('a file of each session', len(files) == 4, [os.path.basename(name) for name in files])
    train(program, '--resume', run, '--quiet')
    checks.note('a finished run gets no more files', files == sorted(glob.glob(str(run / 'events.out.tfevents.*'))), len(files))
    one, other = accumulate(run), accumulate(reference)
    same = all([(e.step, e.value) for e in one.Scalars(tag)] == [(e.step, e.value) for e in other.Scalars(tag)]
               for column, tag in TAGS.items() if column not in ('seconds', 'data_wait'))
    checks.note('curves of the interrupted run', same, 'those of the uninterrupted one')
    served = plugin_event_accumulator.EventAccumulator(str(run)).Reload()  # the reader behind TensorBoard's pages
    texts = [e.step for e in served.Tensors('command/text_summary')]
    checks.note('commands, each at its step', len(texts) == len(set(texts)) == 3, texts)
    # Killed before its first checkpoint: it begins again.
    shutil.rmtree(reference / 'checkpoint')
    (reference / 'metrics.json').unlink()
    train(program, '--resume', reference, '--quiet')
    check_scalars(checks, 'a run that begins again', reference)
    images = {tag: len(accumulate(reference).Images(tag)) for tag in accumulate(reference).Tags()['images']}
    checks.note('its samples are there once', set(images.values()) == {1} and len(images) == 4, images)


def check_killed(program, checks, root):
    """SIGKILL while it trains and writes: what is there can be read, and the run goes on to one curve."""
    run, arguments = root / 'killed', ['--epochs=60', '--checkpoint-every=1', '--events-histograms=1']
    for life in range(3):
        start = ['--resume', run, '--quiet'] if life else ['--data', root / 'data.npz', *SMALL, *arguments, '--out', run]
        before = len(rows_of(run)) if life else 0
        process = subprocess.Popen([program, 'train', *map(str, start)], stdout=subprocess.DEVNULL)
        while process.poll() is None and (not (run / 'log.csv').exists() or len(rows_of(run)) < before + 5):
            time.sleep(0.002)
        process.kill()
        process.wait()
        reader, rows = accumulate(run), rows_of(run)
        points = [(e.step, e.value) for e in reader.Scalars('loss/val')]
        logged = [(int(row['step']), float(np.float32(row['val_loss']))) for row in rows if row['val_loss'] not in ('', None)]
        # The last row may still be without its record.
        checks.note(f'killed for the {life + 1}. time', points in (logged, logged[:-1]), f'{len(points)} epochs')
    train(program, '--resume', run, '--quiet')
    check_scalars(checks, 'a run that was killed three times', run)


def check_hparams(program, checks, root):
    logs = root / 'logs'
    runs = {'one': ['--lr=2e-4'], 'two': ['--lr=1e-3', '--augment-flip-w=0.5']}
    for name, options in runs.items():
        train(program, '--data', root / 'data.npz', *SMALL, '--epochs=2', *options, '--out', logs / name)
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(logs))
    multiplexer.Reload()
    context = backend_context.Context(base_plugin.TBContext(data_provider=data_provider.MultiplexerDataProvider(multiplexer, str(logs))))
    experiment = get_experiment.Handler(RequestContext(), context, '', api_pb2.GetExperimentRequest(include_metrics=True)).run()
    differs = sorted(info.name for info in experiment.hparam_infos if info.differs)
    checks.note('hyperparameters in which the runs differ', differs == ['augment.flip_w', 'lr'], differs)
    request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=9)
    request.allowed_statuses.extend([api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING])
    for info in experiment.metric_infos:
        column = request.col_params.add()
        column.metric.CopyFrom(info.name)
    for info in experiment.hparam_infos:
        column = request.col_params.add()
        column.hparam, column.include_in_result = info.name, True
    answer = list_session_groups.Handler(RequestContext(), context, '', request).run()
    sessions = {s.name: (group, s) for group in answer.session_groups for s in group.sessions}
    checks.note('sessions', sorted(sessions) == ['one', 'two'], sorted(sessions))
    for name in runs:
        group, session = sessions[name]
        hparams, row = dict(group.hparams), rows_of(logs / name)[-1]
        good = hparams['lr'].number_value == float(row['lr']) and hparams['optimizer'].string_value == 'adam' and \
            hparams['model.qkv_bias'].bool_value and hparams['epochs'].number_value == 2
        checks.note(f'hyperparameters, {name}', good, f'{len(hparams)} of them')
        values = {v.name.tag: np.float32(v.value) for v in session.metric_values}
        wrong = [tag for column, tag in TAGS.items() if row[column] != '' and values.get(tag) != np.float32(row[column])]
        checks.note(f'last metrics, {name}', not wrong, wrong or f'{len(values)} of them')
        checks.note(f'end, {name}', session.status == api_pb2.STATUS_SUCCESS, api_pb2.Status.Name(session.status))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tubelet', type=pathlib.Path)
    program = parser.parse_args().tubelet.resolve()
    checks = Checks()
    print(f'tensorboard {tensorboard.__version__}')
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        data = write_data(root / 'data.npz')
        check_run(program, checks, root, data)
        check_resumed(program, checks, root)
        check_killed(program, checks, root)
        check_hparams(program, checks, root)
    return checks.close()


if __name__ == '__main__':
    sys.exit(main())
