#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a map of `tubelet explain --raw` again from the arrays that it is made of, with nothing but NumPy, and
says how far the two are apart.

    tubelet explain MODEL FILE --method METHOD --out PREFIX --raw --json > line.json
    tools/explain_check.py MODEL PREFIX line.json

Attention is multiplied out as whole matrices [N, N], layer after layer from the first one on, of the factorised
encoder over the tokens of both transformers, and upsampled cell by cell: tubelet does neither. Of occlusion, whose
values only the model could give again, the map is made of the boxes. The exit code is 1 where a value differs by
more than 1e-5 of the largest."""
import json
import sys

import numpy as np

LIMIT = 1e-5


# ---- attention: every head as a matrix [N, N] over all tokens of its transformer ----


def spread(heads, groups):
    """[G, H, n, n] of groups of tokens to [H, N, N]: zero where two tokens do not meet."""
    count = groups.size
    out = np.zeros((heads.shape[1], count, count))
    for g, tokens in enumerate(groups):
        out[:, tokens[:, None], tokens[None, :]] = heads[g]
    return out


def groups_of(axis, grid):
    """Numbers of the tokens that meet: those of a time index, or those of a place."""
    tokens = np.arange(np.prod(grid)).reshape(grid[0], -1)
    return tokens if axis == "space" else tokens.T


def roll(method, layers, count):
    """Product over layers; of each a list of attentions, each a list of matrices of heads, or of pairs of those
    and their gradients."""
    identity = np.eye(count)
    product = identity
    for attentions in layers:
        for heads, gradients in attentions:
            if method == "gradient-rollout":
                mean = np.maximum(heads * gradients, 0).mean(0)
                product = product + mean @ product
            elif method == "rollout":
                mean = 0.5 * (heads.mean(0) + identity)
                product = mean / mean.sum(-1, keepdims=True) @ product
            else:
                product = heads.mean(0) @ product
    return product


def row_of(method, layers, pooling, token):
    """How much of each token is in what the transformer pools, without its class token."""
    row = pooling @ roll(method, layers, len(pooling))
    if method == "gradient-rollout":
        row = row - pooling
    return row[1:] if token else row


class Attentions:
    """The arrays of a model, whose configuration is a dictionary as in config.json; load(name) has them."""

    def __init__(self, config, grid, load, gradients):
        self.variant = config.get("variant", "joint")
        self.time_first = config.get("attention_order", "time_space") == "time_space"
        self.token = config["pooling"] == "class_token"
        self.temporal = config.get("temporal_layers", 0) if self.variant == "factorised_encoder" else 0
        self.grid = grid
        self.pooling = load("pooling")
        self.pooling_time = load("pooling-time") if self.temporal else None
        names = ["attention"] if self.variant == "joint" else ["attention-space", "attention-time"]
        if self.variant == "factorised_encoder" and not self.temporal:
            names.remove("attention-time")
        self.heads = {n: load(n) for n in names}
        self.gradients = {n: load(n + "-gradients") if gradients else np.zeros_like(self.heads[n]) for n in names}

    def whole(self, name, layer, axis=None):
        """Heads of a layer and their gradients as [H, N, N] of all tokens."""
        out = []
        for arrays in (self.heads, self.gradients):
            heads = arrays[name][layer]
            if heads.ndim == 3:
                heads = heads[None]
            if axis is None:
                out.append(heads[0])
            else:
                out.append(spread(heads, groups_of(axis, self.grid)))
        return out

    def layers(self, axes, head):
        """Of all variants but the encoder."""

        def choose(pair):
            return pair if head < 0 else [a[head : head + 1] for a in pair]

        if self.variant == "joint":
            n = len(self.heads["attention"])
            return [[choose(self.whole("attention", i))] for i in range(n)]
        names = {a: "attention-" + a for a in ("space", "time")}
        out = []
        for i in range(len(self.heads["attention-space"])):
            pair = {a: self.whole(names[a], i, a) for a in names}
            if self.variant == "factorised_dot_product":
                wanted = [pair[a] for a in ("time", "space") if axes in ("both", a)]
                if head >= 0:
                    half = len(pair["time"][0])
                    a = "time" if head < half else "space"
                    out.append([[x[head % half][None] for x in pair[a]]])
                else:
                    out.append([[np.concatenate([w[k] for w in wanted]) for k in (0, 1)]])
            else:
                order = ("time", "space") if self.time_first else ("space", "time")
                out.append([choose(pair[a]) for a in order if axes in ("both", a)])
        return out

    def everywhere(self, name, layer, head, first, count):
        """Heads of a layer and their gradients as [H, N, N] of the tokens of both transformers: the sequences of the
        layer's own follow each other from number `first` on, and all other tokens see only themselves."""
        out = []
        for arrays, others in ((self.heads, np.eye(count)), (self.gradients, np.zeros((count, count)))):
            heads = arrays[name][layer]
            heads = heads[None] if heads.ndim == 3 else heads
            heads = heads if head < 0 else heads[:, head : head + 1]
            n, whole = heads.shape[-1], np.stack([others] * heads.shape[1])
            for g in range(len(heads)):
                own = slice(first + g * n, first + (g + 1) * n)
                whole[:, own, own] = heads[g]
            out.append(whole)
        return out

    def encoder(self, method, axes, layer, head):
        """One product over the tokens of both transformers: those of the spatial one, time index by time index, and
        behind them those of the temporal one, which are what the spatial one pools."""
        times, places = self.grid[0], self.grid[1] * self.grid[2]
        spatial = len(self.heads["attention-space"])
        first = times * (places + self.token)
        count = first + times + self.token

        def chosen(begin, layers):
            if method != "attention":
                return range(layers)
            if layer < 0:
                return [layers - 1] if layers else []
            return [layer - begin] if begin <= layer < begin + layers else []

        of_space = chosen(0, spatial) if axes in ("both", "space") else []
        of_time = chosen(spatial, self.temporal) if axes in ("both", "time") else []
        space = [[self.everywhere("attention-space", i, head, 0, count)] for i in of_space]
        time = [[self.everywhere("attention-time", i, head, first, count)] for i in of_time]
        begin, pooled = np.zeros(count), np.eye(count)
        pooled[first:] = 0  # the temporal class token is none of the clip
        for t in range(times):
            own = slice(t * (places + self.token), (t + 1) * (places + self.token))
            even = np.append(np.zeros(int(self.token)), np.full(places, 1 / places))
            pooled[first + self.token + t, own] = self.pooling[t] if len(of_space) else even
        begin[first:] = self.pooling_time[0] if len(of_time) else np.append(np.zeros(int(self.token)), np.full(times, 1 / times))
        row = begin @ roll(method, time, count) @ pooled @ roll(method, space, count)
        if method == "gradient-rollout":
            row = row - begin @ pooled
        return row[:first].reshape(times, -1)[:, int(self.token) :]

    def cells(self, method, axes="both", layer=-1, head=-1):
        if self.variant == "factorised_encoder":
            return self.encoder(method, axes, layer, head).reshape(self.grid)
        layers = self.layers(axes, head)
        if method == "attention":
            layers = layers[-1:] if layer < 0 else layers[layer : layer + 1]
        return row_of(method, layers, self.pooling[0], self.token).reshape(self.grid)


# ---- cells to voxels ----


def nearest(cells, sides, size, starts):
    """The mean of the cells that a voxel is in."""
    total, count = np.zeros(sides), np.zeros(sides)
    for index in np.ndindex(*cells.shape):
        box = tuple(slice(starts[i][k], starts[i][k] + size[i]) for i, k in enumerate(index))
        total[box] += cells[index]
        count[box] += 1
    return total / np.maximum(count, 1)


def trilinear(cells, sides, size, starts):
    """Between the centres of cells, axis by axis."""
    out = cells.astype(float)
    for i in range(3):
        centres = np.array(starts[i]) + (size[i] - 1) / 2
        along = lambda v: np.interp(np.arange(sides[i]), centres, v)
        out = np.apply_along_axis(along, i, out)
    return out


def starts_of(config, grid):
    """First voxels of tubelets; sampled frames are at k T / (n + 1), ties to even."""
    size = config["tubelet_size"]
    stride = config.get("tubelet_stride") or size
    starts = [[k * s for k in range(n)] for n, s in zip(grid, stride)]
    n = config.get("sampled_frames", 0)
    if n and n < config["num_frames"]:
        starts[0] = [int(np.rint((k + 1) * config["num_frames"] / (n + 1))) for k in range(n)]
    return size, starts


def starts_of_boxes(sides, size, step):
    """Boxes of occlusion; the last along each axis ends with the clip."""
    return [[min(k, n - b) for k in range(0, n - b + s, s)] for n, b, s in zip(sides, size, step)]


# ---- integrated gradients ----


def places(points):
    """u of points at the shares u^3 of the way: midpoints."""
    return (np.arange(points) + 0.5) / points


def integrated(x, baseline, gradients):
    u = places(len(gradients))
    mean = np.tensordot(3 * u**2 / len(u), gradients.astype(float), 1)  # of s = u^3: ds = 3 u^2 du
    return ((x - baseline) * mean).sum(-1)


def compare(what, ours, theirs):
    scale = max(np.abs(ours).max(), 1e-30)
    apart = np.abs(ours - theirs).max() / scale
    print(f"{what}: {ours.size} values, {apart:.2g} of the largest apart")
    return apart <= LIMIT


def main(model, prefix, line):
    config = json.load(open(model + "/config.json"))
    config = {"pooling": "class_token", **config, **config.get("tubelet", {})}
    said = json.load(open(line))
    load = lambda name: np.load(f"{prefix}-{name}.npy").astype(float)
    map_ = np.load(prefix + ".npy")
    method = said["method"]
    if method == "integrated-gradients":
        x, baseline = load("input"), load("baseline")
        ours = integrated(x, baseline, load("gradients"))
        fine = compare("map", ours, map_)
        apart = abs(ours.sum() - (said["logit"] - said["baseline_logit"]))
        print(f"sum {ours.sum():.6g}, logit less that of the baseline {said['logit'] - said['baseline_logit']:.6g}")
        return fine and apart <= 0.01 * abs(said["logit"] - said["baseline_logit"])
    cells = load("cells")
    fine = True
    if method == "occlusion":
        size, starts = said["box"], starts_of_boxes(map_.shape, said["box"], said["step"])
    else:
        gradients = method == "gradient-rollout"
        layer, head = [-1 if said[k] is None else said[k] for k in ("layer", "head")]
        ours = Attentions(config, cells.shape, load, gradients).cells(method, said["axes"], layer, head)
        fine = compare("cells", ours, cells)
        size, starts = starts_of(config, cells.shape)
    up = nearest if said["upsampling"] == "nearest" else trilinear
    return compare("map", up(cells, map_.shape, size, starts), map_) and fine


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(0 if main(*sys.argv[1:]) else 1)
