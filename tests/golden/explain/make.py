#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden explanations of small models of all four variants, in float64: the models are written here in JAX, whose
automatic differentiation gives the gradients of attention and of the input; the maps are made of them by
tools/explain_check.py, with whole matrices.

Needs numpy and jax: python3 make.py, beside the files that it writes."""
import os
import sys

import jax
import jax.numpy as jnp
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../../../tools"))
import explain_check as check

jax.config.update("jax_enable_x64", True)

T, H, W, C, K = 7, 6, 6, 2, 3
SIZE = [2, 3, 3]
MLP, EPSILON, POINTS = 20, 1e-6, 8
CASES = {
    "joint_token": dict(variant="joint", pooling="class_token", layers=2, heads=2, hidden=12, gelu="erf", aim=1),
    "joint_max": dict(variant="joint", pooling="max", layers=2, heads=3, hidden=12, stride=[1, 3, 2], aim=0),
    "encoder_token": dict(variant="factorised_encoder", pooling="class_token", layers=2, temporal_layers=2, heads=2, hidden=12, aim=2),
    "encoder_mean": dict(variant="factorised_encoder", pooling="mean", layers=2, temporal_layers=1, heads=2, hidden=12, aim=0),
    "encoder_space": dict(variant="factorised_encoder", pooling="class_token", layers=2, heads=2, hidden=12, aim=1),
    "self_attention": dict(variant="factorised_self_attention", pooling="mean", layers=2, heads=2, hidden=12, gelu="erf", aim=1),
    "self_attention_turned": dict(variant="factorised_self_attention", attention_order="space_time", pooling="max", layers=1, heads=2, hidden=12, aim=2),
    "dot_product": dict(variant="factorised_dot_product", pooling="sum", layers=2, heads=4, hidden=16, aim=0),
}


def numbers(rng, *shape, scale=1.0):
    """Random numbers that float32 holds exactly."""
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def grid_of(case):
    stride = case.get("stride", SIZE)
    return [(n - k) // s + 1 for n, k, s in zip((T, H, W), SIZE, stride)]


def block_parameters(rng, p, name, case):
    d = case["hidden"]
    kinds = ["attention", "temporal_attention"] if case["variant"] == "factorised_self_attention" else ["attention"]
    for kind in kinds:
        for part in ("attention.query", "attention.key", "attention.value", "output.dense"):
            scale = 0.5 if part in ("attention.query", "attention.key") else 0.3
            p[f"{name}.{kind}.{part}.weight"] = numbers(rng, d, d, scale=scale)
            p[f"{name}.{kind}.{part}.bias"] = numbers(rng, d, scale=0.3)
    norms = ["layernorm_before", "layernorm_after"]
    if len(kinds) > 1:
        norms.append("temporal_layernorm_before")
    for norm in norms:
        p[f"{name}.{norm}.weight"] = 1 + numbers(rng, d, scale=0.2)
        p[f"{name}.{norm}.bias"] = numbers(rng, d, scale=0.2)
    p[f"{name}.intermediate.dense.weight"] = numbers(rng, MLP, d, scale=0.25)
    p[f"{name}.intermediate.dense.bias"] = numbers(rng, MLP, scale=0.3)
    p[f"{name}.output.dense.weight"] = numbers(rng, d, MLP, scale=0.25)
    p[f"{name}.output.dense.bias"] = numbers(rng, d, scale=0.3)


def parameters(rng, case):
    d, p, (t, h, w) = case["hidden"], {}, grid_of(case)
    token = case["pooling"] == "class_token"
    encoder = case["variant"] == "factorised_encoder"
    if token:
        p["vivit.embeddings.cls_token"] = numbers(rng, 1, 1, d)
    places = (h * w if encoder else t * h * w) + token
    p["vivit.embeddings.position_embeddings"] = numbers(rng, 1, places, d, scale=0.7)
    p["vivit.embeddings.patch_embeddings.projection.weight"] = numbers(rng, d, C, *SIZE, scale=0.2)
    p["vivit.embeddings.patch_embeddings.projection.bias"] = numbers(rng, d, scale=0.2)
    for i in range(case["layers"]):
        block_parameters(rng, p, f"vivit.encoder.layer.{i}", case)
    p["vivit.layernorm.weight"] = 1 + numbers(rng, d, scale=0.2)
    p["vivit.layernorm.bias"] = numbers(rng, d, scale=0.2)
    if case.get("temporal_layers", 0):
        if token:
            p["vivit.temporal.embeddings.cls_token"] = numbers(rng, 1, 1, d)
        p["vivit.temporal.embeddings.position_embeddings"] = numbers(rng, 1, t + token, d, scale=0.7)
        for i in range(case["temporal_layers"]):
            block_parameters(rng, p, f"vivit.temporal.encoder.layer.{i}", case)
        p["vivit.temporal.layernorm.weight"] = 1 + numbers(rng, d, scale=0.2)
        p["vivit.temporal.layernorm.bias"] = numbers(rng, d, scale=0.2)
    p["classifier.weight"] = numbers(rng, K, d)
    p["classifier.bias"] = numbers(rng, K)
    return p


# ---- the model: x [T,H,W,C] to logits, and attention; `more` is added to the probabilities, so that its gradient is
# theirs ----


def norm(p, name, x):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + EPSILON) * p[name + ".weight"] + p[name + ".bias"]


def dense(p, name, x):
    return x @ p[name + ".weight"].T + p[name + ".bias"]


def attend(p, name, x, heads, more):
    """x [G, n, D]; the probabilities [G, H, n, n]."""
    split = lambda v: v.reshape(*v.shape[:-1], heads, -1).swapaxes(-2, -3)
    q, k, v = (split(dense(p, f"{name}.attention.{part}", x)) for part in ("query", "key", "value"))
    probabilities = jax.nn.softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])) + more
    return (probabilities @ v).swapaxes(-2, -3).reshape(x.shape), probabilities


def mlp(p, name, x, case):
    hidden = jax.nn.gelu(dense(p, name + ".intermediate.dense", x), approximate=case.get("gelu", "tanh") == "tanh")
    return dense(p, name + ".output.dense", hidden)


def tower(p, name, layers, x, case, key, more, seen):
    """Blocks over sequences [G, n, D] that do not meet."""
    for i in range(layers):
        layer = f"{name}.layer.{i}"
        o, a = attend(p, layer + ".attention", norm(p, layer + ".layernorm_before", x), case["heads"], more[key][i])
        seen[key].append(a)
        x = x + dense(p, layer + ".attention.output.dense", o)
        x = x + mlp(p, layer, norm(p, layer + ".layernorm_after", x), case)
    return x


def pool(kind, x):
    return {"class_token": lambda: x[:, 0], "mean": lambda: x.mean(1), "max": lambda: x.max(1), "sum": lambda: x.sum(1)}[kind]()


def turn(x, grid, axis):
    """Tokens [N, D] to groups [G, n, D] and back."""
    by = x.reshape(grid[0], -1, x.shape[-1])
    return by if axis == "space" else by.swapaxes(0, 1)


def back(x, axis):
    return (x if axis == "space" else x.swapaxes(0, 1)).reshape(-1, x.shape[-1])


def self_attention(p, x, case, grid, more, seen):
    order = case.get("attention_order", "time_space").split("_")
    for i in range(case["layers"]):
        layer = f"vivit.encoder.layer.{i}"
        for axis in order:
            kind, before = ("temporal_attention", "temporal_layernorm_before") if axis == "time" else ("attention", "layernorm_before")
            key = "attention-" + axis
            o, a = attend(p, f"{layer}.{kind}", turn(norm(p, f"{layer}.{before}", x), grid, axis), case["heads"], more[key][i])
            seen[key].append(a)
            x = x + dense(p, f"{layer}.{kind}.output.dense", back(o, axis))
        x = x + mlp(p, layer, norm(p, layer + ".layernorm_after", x), case)
    return x


def dot_product(p, x, case, grid, more, seen):
    half = case["heads"] // 2
    for i in range(case["layers"]):
        layer, parts = f"vivit.encoder.layer.{i}", []
        normed = norm(p, layer + ".layernorm_before", x)
        for number, axis in enumerate(("time", "space")):
            key, which = "attention-" + axis, slice(number * half, (number + 1) * half)
            groups = turn(normed, grid, axis)
            split = lambda v: v.reshape(*v.shape[:-1], case["heads"], -1).swapaxes(-2, -3)[:, which]
            q, k, v = (split(dense(p, f"{layer}.attention.attention.{part}", groups)) for part in ("query", "key", "value"))
            a = jax.nn.softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])) + more[key][i]
            seen[key].append(a)
            o = (a @ v).swapaxes(-2, -3)
            parts.append(back(o.reshape(*groups.shape[:2], -1), axis))
        x = x + dense(p, layer + ".attention.output.dense", jnp.concatenate(parts, -1))
        x = x + mlp(p, layer, norm(p, layer + ".layernorm_after", x), case)
    return x


def tubelets(p, x, case, grid):
    """[t, h w, D]."""
    stride, kernel = case.get("stride", SIZE), p["vivit.embeddings.patch_embeddings.projection.weight"]
    rows = []
    for t, h, w in np.ndindex(*grid):
        at = [i * s for i, s in zip((t, h, w), stride)]
        box = x[at[0] : at[0] + SIZE[0], at[1] : at[1] + SIZE[1], at[2] : at[2] + SIZE[2]]
        rows.append(jnp.einsum("thwc,dcthw->d", box, kernel))
    return (jnp.stack(rows) + p["vivit.embeddings.patch_embeddings.projection.bias"]).reshape(grid[0], -1, case["hidden"])


def with_token(p, name, x, case):
    if case["pooling"] == "class_token":
        token = jnp.broadcast_to(p[name + ".cls_token"], (len(x), 1, case["hidden"]))
        x = jnp.concatenate([token, x], 1)
    return x + p[name + ".position_embeddings"]


def model(p, x, more, case):
    """Logits; attention; what the transformers pool."""
    grid, kind = grid_of(case), case["pooling"]
    seen = {key: [] for key in more}
    tokens, ends = tubelets(p, x, case, grid), []
    variant = case["variant"]
    if variant == "joint":
        x = with_token(p, "vivit.embeddings", tokens.reshape(1, -1, case["hidden"]), case)
        x = tower(p, "vivit.encoder", case["layers"], x, case, "attention", more, seen)
    elif variant == "factorised_encoder":
        x = with_token(p, "vivit.embeddings", tokens, case)
        x = tower(p, "vivit.encoder", case["layers"], x, case, "attention-space", more, seen)
    else:
        x = tokens.reshape(-1, case["hidden"]) + p["vivit.embeddings.position_embeddings"][0]
        x = (self_attention if variant == "factorised_self_attention" else dot_product)(p, x, case, grid, more, seen)[None]
    x = norm(p, "vivit.layernorm", x)
    ends.append(x)
    x = pool(kind, x)
    if variant == "factorised_encoder" and case.get("temporal_layers", 0):
        x = with_token(p, "vivit.temporal.embeddings", x[None], case)
        x = tower(p, "vivit.temporal.encoder", case["temporal_layers"], x, case, "attention-time", more, seen)
        x = norm(p, "vivit.temporal.layernorm", x)
        ends.append(x)
        x = pool(kind, x)
    elif variant == "factorised_encoder":
        x = x.mean(0, keepdims=True)
    return dense(p, "classifier", x[0]), seen, ends


# ---- what explanations are made of ----


def shapes(case):
    t, h, w = grid_of(case)
    heads, places, token = case["heads"], h * w, int(case["pooling"] == "class_token")
    layers = case["layers"]
    if case["variant"] == "joint":
        n = t * places + token
        return {"attention": (layers, 1, heads, n, n)}
    if case["variant"] == "factorised_encoder":
        n, m = places + token, t + token
        out = {"attention-space": (layers, t, heads, n, n)}
        if case.get("temporal_layers", 0):
            out["attention-time"] = (case["temporal_layers"], 1, heads, m, m)
        return out
    heads //= 2 if case["variant"] == "factorised_dot_product" else 1
    return {"attention-space": (layers, t, heads, places, places), "attention-time": (layers, places, heads, t, t)}


def share(kind, end):
    """Of tokens in what a sequence pools: the share of the columns of which a token is the maximum."""
    if kind == "class_token":
        return np.eye(end.shape[1])[:1].repeat(len(end), 0)
    if kind in ("mean", "sum"):
        return np.full(end.shape[:2], 1 / end.shape[1])
    won = end == end.max(1, keepdims=True)
    return (won / won.sum(1, keepdims=True)).mean(-1)


def make(name, case, seed):
    rng = np.random.default_rng(seed)
    p, x = parameters(rng, case), numbers(rng, T, H, W, C)
    double = {k: jnp.asarray(v, jnp.float64) for k, v in p.items()}
    zeros = {k: jnp.zeros(s) for k, s in shapes(case).items()}
    logit = lambda x, more: model(double, x, more, case)[0][case["aim"]]
    slope = jax.jit(jax.grad(logit, argnums=(0, 1)))
    logits, seen, ends = model(double, jnp.asarray(x, jnp.float64), zeros, case)
    _, gradients = slope(jnp.asarray(x, jnp.float64), zeros)
    arrays = {"pooling": share(case["pooling"], np.asarray(ends[0]))}
    if len(ends) > 1:
        arrays["pooling-time"] = share(case["pooling"], np.asarray(ends[1]))
    for key in zeros:
        squeeze = (lambda a: a[:, 0]) if zeros[key].shape[1] == 1 else lambda a: a
        arrays[key] = squeeze(np.stack([np.asarray(a) for a in seen[key]]))
        arrays[key + "-gradients"] = squeeze(np.asarray(gradients[key]))
    out = {"p." + k: v for k, v in p.items()} | {"x": x, "logits": np.asarray(logits)}
    out |= {k: v.astype(np.float32) for k, v in arrays.items()}
    grid = grid_of(case)
    said = check.Attentions(case, grid, arrays.__getitem__, True)
    axes = ["both"] if case["variant"] == "joint" else ["both", "space", "time"]
    if case["variant"] == "factorised_encoder" and not case.get("temporal_layers", 0):
        axes.remove("time")
    for kind in axes:
        out[f"gradient-rollout.{kind}"] = said.cells("gradient-rollout", kind)
        out[f"rollout.{kind}"] = said.cells("rollout", kind)
        out[f"attention.{kind}"] = said.cells("attention", kind)
    layers = case["layers"] + case.get("temporal_layers", 0)
    each = [[said.cells("attention", "both", i, h) for h in range(case["heads"])] for i in range(layers)]
    out["attention.each"] = np.array(each)  # [layers, heads, t, h, w]
    dictionary = {"tubelet_size": SIZE, "tubelet_stride": case.get("stride"), "num_frames": T}
    size, starts = check.starts_of(dictionary, grid)
    out["map.nearest"] = check.nearest(out["rollout.both"], (T, H, W), size, starts)
    out["map.trilinear"] = check.trilinear(out["rollout.both"], (T, H, W), size, starts)
    # Integrated gradients, from black, points at u^3 by the midpoint rule over u.
    shares = check.places(POINTS) ** 3
    slopes = np.stack([np.asarray(slope(jnp.asarray(s * x.astype(np.float64)), zeros)[0]) for s in shares])
    out["gradients"] = slopes.astype(np.float32)
    out["integrated"] = check.integrated(x.astype(np.float64), 0, slopes)
    np.savez_compressed(os.path.join(here, name + ".npz"), **out)
    print(name, {k: v.shape for k, v in arrays.items()}, np.round(np.asarray(logits), 3))


if __name__ == "__main__":
    for i, (name, case) in enumerate(CASES.items()):
        make(name, case, 100 + i)
