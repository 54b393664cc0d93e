#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden numbers of the baselines, in float64: a small ResNet-18 of PyTorch in the form of MedMNIST's
experiments, whose convolutions are 3-D, and a small network of Keras over frames with a GRU.

Needs torch and keras: KERAS_BACKEND=torch python3 make.py, beside the files that it writes."""
import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
import torch
from torch import nn

torch.set_default_dtype(torch.float64)
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
rng = np.random.default_rng(7)


def numbers(*shape, scale=1.0):
    """Random numbers that float32 holds exactly."""
    return (scale * rng.standard_normal(shape)).astype(np.float32).astype(np.float64)


# As MedMNIST/experiments, MedMNIST3D/models.py (ResNet18), each 2-D layer made 3-D.
class BasicBlock(nn.Module):
    def __init__(self, in_planes, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv3d(in_planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(planes)
        self.conv2 = nn.Conv3d(planes, planes, 3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(
                nn.Conv3d(in_planes, planes, 1, stride=stride, bias=False), nn.BatchNorm3d(planes))

    def forward(self, x):
        out = torch.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return torch.relu(out + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, channels, filters, stages, classes):
        super().__init__()
        self.conv1 = nn.Conv3d(channels, filters, 3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(filters)
        self.stages = stages
        before = filters
        for s in range(stages):
            planes = filters << s
            blocks = [BasicBlock(before, planes, 1 if s == 0 else 2), BasicBlock(planes, planes, 1)]
            setattr(self, f"layer{s + 1}", nn.Sequential(*blocks))
            before = planes
        self.linear = nn.Linear(before, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        for s in range(self.stages):
            x = getattr(self, f"layer{s + 1}")(x)
        return self.linear(x.mean(dim=(2, 3, 4)))


def resnet():
    out = {}
    model = ResNet(2, 5, 3, 4)
    state = {}
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            one = name.endswith("running_var") or (".bn" in name or name.startswith("bn")) and \
                name.endswith("weight") or name.endswith("shortcut.1.weight")
            v = numbers(*value.shape, scale=0.2) + (1 if one else 0)
            v = v.astype(np.float32).astype(np.float64)
            state[name] = torch.tensor(v)
            out["p." + name] = v.astype(np.float32)
    model.load_state_dict(state, strict=False)
    x = [numbers(3, 5, 9, 6, 2), numbers(3, 5, 9, 6, 2)]
    labels = np.array([1, 3, 0], np.int32)
    out.update(x0=x[0].astype(np.float32), x1=x[1].astype(np.float32), labels=labels)
    inputs = [torch.tensor(np.moveaxis(v, -1, 1).copy()) for v in x]
    model.eval()
    out["logits_before"] = model(inputs[0]).detach().numpy()
    model.train()
    inputs[0].requires_grad_(True)
    logits = model(inputs[0])
    loss = nn.functional.cross_entropy(logits, torch.tensor(labels, dtype=torch.long))
    loss.backward()
    out["logits"] = logits.detach().numpy()
    out["loss"] = np.array(loss.item())
    out["dx"] = np.moveaxis(inputs[0].grad.numpy(), 1, -1).copy()
    for name, p in model.named_parameters():
        out["g." + name] = p.grad.numpy()
    model(inputs[1])
    for name, value in model.state_dict().items():
        if "running" in name:
            out["after." + name] = value.numpy()
    model.eval()
    out["logits_after"] = model(inputs[1]).detach().numpy()
    np.savez_compressed("resnet3d18.npz", **out)


def cnn_rnn():
    filters, stages, units, frames, classes = 4, 2, 9, 6, 3
    layers = keras.layers
    inputs = keras.Input((frames, 11, 9, 2))
    h = inputs
    for i in range(stages):
        conv = layers.Conv2D(filters << i, 3, padding="same", activation="relu", name=f"conv{i}")
        h = layers.TimeDistributed(conv)(h)
        h = layers.TimeDistributed(layers.MaxPooling2D(2))(h)
    # What is left of a frame is 2x2: the global average, whose layer computes in float32.
    h = layers.TimeDistributed(layers.AveragePooling2D(2))(h)
    h = layers.Reshape((frames, filters << stages - 1))(h)
    h = layers.GRU(units, reset_after=True, name="gru")(h)
    model = keras.Model(inputs, h)
    out, places = {}, {}
    for v in model.trainable_weights:
        value = numbers(*v.shape, scale=0.4)
        v.assign(value)
        path = v.path
        if "conv" in path:
            i = int(path.split("conv")[1][0])
            name = f"cnn.{i}.conv." + ("bias" if path.endswith("bias") else "weight")
            places[v.path] = [(name, lambda a: a if a.ndim == 1 else a.transpose(3, 2, 0, 1))]
        elif "recurrent" in path:
            places[path] = [("gru.recurrent.weight", np.transpose)]
        elif "gru" in path and path.endswith("bias"):
            places[path] = [("gru.input.bias", lambda a: a[0]),
                            ("gru.recurrent.bias", lambda a: a[1])]
        else:
            places[path] = [("gru.input.weight", np.transpose)]
        for name, change in places[path]:
            out["p." + name] = np.ascontiguousarray(change(value)).astype(np.float32)
    x, labels = numbers(3, frames, 11, 9, 2), np.array([2, 0, 1], np.int32)
    given = torch.tensor(x, requires_grad=True)
    # Keras' own dense layer computes in float32 there.
    head = {"weight": numbers(classes, units, scale=0.4), "bias": numbers(classes, scale=0.4)}
    kernel, bias = (torch.tensor(v, requires_grad=True) for v in head.values())
    logits = model(given) @ kernel.T + bias
    loss = nn.functional.cross_entropy(logits, torch.tensor(labels, dtype=torch.long))
    loss.backward()
    out.update(x0=x.astype(np.float32), labels=labels, logits=logits.detach().cpu().numpy(),
               loss=np.array(loss.item()), dx=given.grad.numpy())
    for v in model.trainable_weights:
        for name, change in places[v.path]:
            out["g." + name] = np.ascontiguousarray(change(v.value.grad.cpu().numpy()))
    for name, value in head.items():
        out["p.classifier." + name] = value.astype(np.float32)
    out.update({"g.classifier.weight": kernel.grad.numpy(), "g.classifier.bias": bias.grad.numpy()})
    np.savez_compressed("cnn_rnn.npz", **out)


resnet()
cnn_rnn()
