# SPDX-License-Identifier: Apache-2.0
"""Copies what the C test needs out of the golden metric folders: make_cases.py GOLDEN OUT (development only; needs NumPy).

Scores become float32, the type that the library takes; curves and precision-recall areas stay behind. Where a confidence lies on
the edge of a calibration bin in float64, rounding moves it over the edge: that expectation is left out."""
import glob
import json
import os
import shutil
import sys

import numpy as np

CASES = ["mc11_float32", "mc11_ties_unnormalised", "mc11_all_equal", "mc11_confident_float32", "mc11_onehot_scores",
         "mc11_absent_class_6", "mc11_one_per_class", "mc11_single_sample", "mc11_nan_score", "mc3_small",
         "mc2_as_multiclass", "bin_2col", "bin_ties_and_exactly_half", "bin_all_equal", "bin_saturated",
         "bin_2col_logits", "bin_one_class_only", "bin_perfect"]
RESULTS = ["organmnist3d_val_[AUC]0.816_[ACC]0.404@7.csv", "organmnist3d_val_[AUC]0.760_[ACC]0.298@1700000000.25.csv",
           "adrenalmnist3d_val_[AUC]0.500_[ACC]0.776@half.csv"]


def value(x):
    """A stored result: the number, None for NaN, absent for an error of the tool."""
    return {"value": x["value"]} if "value" in x else {}


def text(scores):
    out = []
    for x in scores.reshape(-1):
        out.append("null" if np.isnan(x) else str(x))
        assert np.isnan(x) or np.float32(float(out[-1])) == x
    return "[" + ",".join(out) + "]"


def expected(case, scores, labels):
    o = {"auc": value(case["medmnist_AUC"]), "acc": value(case["medmnist_ACC"]), "loss": value(case["log_loss"])}
    s_classes, binary = scores.shape[1], "threshold_0.5_strictly_greater" in case
    kind = case.get("argmax", case.get("threshold_0.5_strictly_greater")) if binary else case
    for key in ("balanced_accuracy", "accuracy"):
        o[key] = value(kind[key])
    o["macro_f1"] = value(kind["macro_f1_all_classes"])
    o["confusion"] = kind["confusion_matrix_rows_true"]["value"]
    o["per_class"] = kind["per_class"]
    multi = "brier_multiclass_half" if s_classes == 2 else "brier_multiclass_sum_over_classes"
    o["brier"] = value(case["brier" if binary else multi])
    if not binary:
        o["auc_per_class"] = [value(a) for a in case["auc_per_class_ovr"]]
        for t in case.get("topk", []):
            if t["k"] in (1, 5):
                o["top%d" % t["k"]] = {"value": t["lower_index_first" if t["k"] == 1 else "optimistic"],
                                       "other_rule": t["higher_index_first"]}
    for c in case.get("calibration_formula", []):
        edge = scores.max(1).astype(np.float64) * 15
        if c["bins"] == 15 and (np.abs(edge - np.round(edge)) > 1e-5)[np.round(edge) < 15].all():
            o["calibration_error"] = {"value": c["ece"]}
    return o


def main(golden, out):
    for name in CASES:
        z = np.load(f"{golden}/metrics/cases/{name}.npz")
        case = json.load(open(f"{golden}/metrics/cases/{name}.json"))
        y, s = z["y_true"].astype(np.int64), z["y_score"]
        if s.ndim == 1:
            s = np.stack([1 - s, s], 1)
        exact = s.dtype == np.float32
        s = s.astype(np.float32)
        e = expected(case, s, y)
        hit = s[np.arange(len(y)), y]
        if not exact and ((hit < 2.0**-23) | (hit > 1 - 2.0**-23)).any():
            del e["loss"]  # clipped at another value for float64
        with open(f"{out}/{name}.json", "w") as f:
            f.write('{"classes": %d,\n"labels": %s,\n"scores": %s,\n"expected": %s}\n'
                    % (s.shape[1], json.dumps(y.tolist(), separators=(",", ":")), text(s), json.dumps(e)))
    z = np.load(f"{golden}/keras/metrics/metrics.npz")
    with open(f"{out}/keras.json", "w") as f:
        f.write('{"classes": 11,\n"labels": %s,\n"scores": %s,\n"top1": %s,\n"top5": %s,\n"loss": %s}\n'
                % (z["labels"].tolist(), text(z["probs"]), z["top1_jax"].tolist(), z["top5_jax"].tolist(),
                   text(z["ce_tensorflow"])))
    boot = json.load(open(f"{golden}/metrics/cases/bootstrap.json"))["expected"]
    json.dump(boot, open(f"{out}/bootstrap.json", "w"), indent=1)
    listed = {f["file"][8:]: f for f in json.load(open(f"{golden}/metrics/manifest.json"))["medmnist_files"]["files"]}
    results = []
    for name in RESULTS:
        f = listed[name]
        labels = np.load(f"{golden}/metrics/medmnist/root/{f['flag']}.npz")[f"{f['split']}_labels"].reshape(-1)
        results.append({"file": name, "flag": f["flag"], "split": f["split"], "run": f["run"], "auc": f["AUC"],
                        "acc": f["ACC"], "classes": f["score_shape"][1], "labels": labels.tolist()})
        shutil.copyfile(f"{golden}/metrics/medmnist/results/{name}", f"{out}/{name}")
    json.dump(results, open(f"{out}/results.json", "w"))


main(*sys.argv[1:])
