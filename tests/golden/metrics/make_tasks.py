# SPDX-License-Identifier: Apache-2.0
"""Numbers of scikit-learn for labels and heads: make_tasks.py GOLDEN OUT (development only; needs scikit-learn).

Labels are the cases of the golden metric folders, whose AUC and ACC MedMNIST's own evaluator gave; scores become float32, and everything is
computed again from those. Heads are made here; the joint top-k is written out over all combinations."""
import json
import sys
import warnings

import numpy as np
from sklearn import metrics

CASES = ["ml14", "ml14_ties", "ml14_absent_label_9"]


def number(x):
    return None if np.isnan(x) else float(x)


def text(scores):
    return "[" + ",".join(str(x) for x in scores.reshape(-1)) + "]"


def labels_case(golden, name):
    z = np.load(f"{golden}/metrics/cases/{name}.npz")
    case = json.load(open(f"{golden}/metrics/cases/{name}.json"))
    y, s = z["y_true"].astype(int), z["y_score"].astype(np.float32)
    p = s > 0.5
    clipped = np.clip(s.astype(np.float64), 2.0**-23, 1 - 2.0**-23)
    auc = [metrics.roc_auc_score(y[:, k], s[:, k]) if 0 < y[:, k].sum() < len(y) else np.nan for k in range(y.shape[1])]
    one = dict(average=None, zero_division=0)
    e = {"auc": number(np.mean(auc)), "acc": float((p == y).mean()),
         "precision": metrics.average_precision_score(y, s, average="macro"),
         "micro_f1": metrics.f1_score(y, p, average="micro"), "macro_f1": metrics.f1_score(y, p, average="macro", zero_division=0),
         "exact_match": metrics.accuracy_score(y, p),
         "loss": float(-(y * np.log(clipped) + (1 - y) * np.log(np.clip(1 - s, np.float32(2.0**-23), 1 - np.float32(2.0**-23)).astype(np.float64))).mean()),
         "per_label": {"auc": [number(a) for a in auc],
                       "average_precision": [metrics.average_precision_score(y[:, k], s[:, k]) for k in range(y.shape[1])],
                       "precision": metrics.precision_score(y, p, **one).tolist(), "recall": metrics.recall_score(y, p, **one).tolist(),
                       "f1": metrics.f1_score(y, p, **one).tolist(), "support": y.sum(0).tolist()}}
    medmnist = case["medmnist_AUC"]["value"]
    assert medmnist is None and e["auc"] is None or abs(e["auc"] - medmnist) < 1e-9, name
    assert abs(e["acc"] - case["medmnist_ACC"]["value"]) < 1e-12
    for ours, theirs in (("precision", "mAP_macro"), ("micro_f1", "micro_f1"), ("macro_f1", "macro_f1"), ("exact_match", "subset_accuracy")):
        assert abs(e[ours] - case[theirs]["value"]) < 1e-9, (name, ours)
    return ('{"labels": %d,\n"truth": %s,\n"scores": %s,\n"expected": %s}\n'
            % (y.shape[1], json.dumps(y.reshape(-1).tolist(), separators=(",", ":")), text(s), json.dumps(e)))


def heads_case(rng, heads, n, ties):
    z = [2 * rng.standard_normal((n, k)) for k in heads]
    y = np.stack([rng.integers(0, k, n) for k in heads], 1)
    for h, k in enumerate(heads):
        z[h][np.arange(n), y[:, h]] += rng.uniform(-1, 4, n)
        if ties:
            z[h] = np.round(z[h])
    p = [(np.exp(a) / np.exp(a).sum(1, keepdims=True)).astype(np.float32) for a in z]
    top1, top5 = [], []
    for i in range(n):
        product = np.ones(())
        for a in p:
            product = np.multiply.outer(product, a[i].astype(np.float64))
        right = product[tuple(y[i])]
        top5.append((product > right).sum() < 5)
        top1.append(all(p[h][i].argmax() == y[i, h] for h in range(len(heads))))
    loss = [metrics.log_loss(y[:, h], p[h].astype(np.float64) / p[h].sum(1, keepdims=True, dtype=np.float64), labels=range(k)) for h, k in enumerate(heads)]
    e = {"top1": float(np.mean(top1)), "top5": float(np.mean(top5)), "loss": float(np.mean(loss)),
         "heads": [{"top1": metrics.accuracy_score(y[:, h], p[h].argmax(1)), "auc": number(np.mean([metrics.roc_auc_score(y[:, h] == c, p[h][:, c]) for c in range(k)]))}
                   for h, k in enumerate(heads)]}
    return ('{"heads": %s,\n"labels": %s,\n"scores": %s,\n"expected": %s}\n'
            % (json.dumps(heads), json.dumps(y.reshape(-1).tolist(), separators=(",", ":")), text(np.concatenate(p, 1)), json.dumps(e)))


def main(golden, out):
    warnings.simplefilter("ignore")  # a label that no sample has
    for name in CASES:
        open(f"{out}/{name}.json", "w").write(labels_case(golden, name))
    rng = np.random.default_rng(5)
    open(f"{out}/heads_5_7.json", "w").write(heads_case(rng, [5, 7], 120, False))
    open(f"{out}/heads_3_4_6_ties.json", "w").write(heads_case(rng, [3, 4, 6], 90, True))


main(*sys.argv[1:])
