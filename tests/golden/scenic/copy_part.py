# SPDX-License-Identifier: Apache-2.0
"""Copies the part of scenic's reference vectors that the tests read without the whole set, and writes manifest.json.

    python copy_part.py SCENIC_FOLDER      (the folder with cases/, checkpoint/, init/ and optim/; needs numpy)
"""
import hashlib
import json
import os
import shutil
import sys

import numpy as np

source, here = sys.argv[1], os.path.dirname(os.path.abspath(__file__))

# Gradients of every variant, tokeniser and pooling; of the kinds of positions, logits and loss only.
GRADIENTS = ["v2_cls", "v3_time_space", "v4", "v1_gmp", "v1_gsp_rep", "tok_sampling_v1"]
INPUT_GRADIENT = ["tok_sampling_v1"]
LOGITS = ["pos_none", "pos_sin1d", "pos_sin3d"]
WHOLE = ["checkpoint/chunked/checkpoint_5", "checkpoint/types.msgpack", "optim/lr.json", "optim/sgd.json"]


def rounded(values):
    """Float64 gradients and parameters as float32, which moves them by at most 6e-8 of their array's largest."""
    return {key: v.astype(np.float32) if v.dtype == np.float64 else v for key, v in values.items()}


def save(name, values):
    path = f"{here}/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    np.savez_compressed(path, **values)


def load(name, keys=None):
    f = np.load(f"{source}/{name}")
    return {key: f[key] for key in keys or f.files}


for case in GRADIENTS + LOGITS:
    save(f"cases/{case}/params.npz", load(f"cases/{case}/params.npz"))
    save(f"cases/{case}/io.npz", load(f"cases/{case}/io.npz", ["input", "labels"]))
    truth = load(f"cases/{case}/io_f64.npz", ["logits", "loss"])
    if case in INPUT_GRADIENT:
        truth.update(rounded(load(f"cases/{case}/io_f64.npz", ["d_input"])))
    save(f"cases/{case}/io_f64.npz", truth)
    if case in GRADIENTS:
        save(f"cases/{case}/grads_f64.npz", rounded(load(f"cases/{case}/grads_f64.npz")))

expected = load("checkpoint/expected.npz")
save("checkpoint/expected.npz", {key: v for key, v in expected.items() if not key.startswith("momentum/")})
steps = load("optim/sgd_clip1.npz")
arrays = {key: v for key, v in steps.items() if key.startswith("f64/params/")}
save("optim/sgd_clip1.npz", {"f32/lr": steps["f32/lr"], **{f"f64/{k}": steps[f"f64/{k}"] for k in ("grad_norm", "logits", "loss")},
                             **rounded(arrays)})
for name in ["checkpoint/expected_types.npz", "init/inflate.npz", "init/posemb_functions.npz", "init/posemb_init.npz",
             "optim/loss.npz", "optim/sgd_inputs.npz"]:
    save(name, load(name))
for name in WHOLE:
    os.makedirs(os.path.dirname(f"{here}/{name}"), exist_ok=True)
    shutil.copyfile(f"{source}/{name}", f"{here}/{name}")

with open(f"{source}/manifest.json") as f:
    whole = json.load(f)
files = {}
for folder, _, names in os.walk(here):
    for name in names:
        path = f"{folder}/{name}"
        if name.endswith((".npz", ".msgpack", "_5")) or os.path.basename(folder) == "optim":
            with open(path, "rb") as f:
                data = f.read()
            files[os.path.relpath(path, here)] = {"bytes": len(data), "md5": hashlib.md5(data).hexdigest()}
kept = ["seed", "scenic_commit", "train_lib_deprecated_from", "flax_optim_from", "versions", "shared_dims", "loss"]
manifest = {key: whole[key] for key in kept}
manifest["cases"] = {case: whole["cases"][case] for case in GRADIENTS + LOGITS}
manifest["files"] = dict(sorted(files.items()))
with open(f"{here}/manifest.json", "w") as f:
    json.dump(manifest, f, indent=1)
    f.write("\n")
