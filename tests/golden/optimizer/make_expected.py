# SPDX-License-Identifier: Apache-2.0
"""Makes expected.npz from the float64 trajectories of the Keras reference vectors: losses, and parameters after the last step.

    python make_expected.py KERAS_FOLDER      (the folder with adam/ and mini/; needs numpy)
"""
import os
import shutil
import sys

import numpy as np

source, here = sys.argv[1], os.path.dirname(os.path.abspath(__file__))
runs = {"adam": 50, "adamw": 20, "sgd_momentum": 20, "sgd_global_clipnorm": 20, "adam_cosine_warmup": 20}
out = {}
for run, steps in runs.items():
    f = np.load(f"{source}/adam/{run}_f64.npz")
    out[f"{run}/loss"] = f["loss"]
    # The parameters are rounded to float32, which moves them by at most 6e-8: a fiftieth of the limit.
    for key in f:
        if key.startswith(f"params{steps}/"):
            out[f"{run}/{key.split('/', 1)[1]}"] = f[key].astype(np.float32)
np.savez_compressed(f"{here}/expected.npz", **out)
shutil.copy(f"{source}/adam/batches.npz", here)
shutil.copy(f"{source}/mini/params.npz", here)
