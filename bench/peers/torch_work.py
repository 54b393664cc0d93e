# SPDX-License-Identifier: Apache-2.0
"""PyTorch's turn: a function that does one step or one forward pass."""

import torch
import torch.nn.functional as F
from torch_model import ViViT


def prepare(row, threads, compiled):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = ViViT(row.model)
    model.train(row.training)
    call = torch.compile(model) if compiled else model
    return (_training if row.training else _inference)(row, model, call)


def _autocast(row):
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=row.precision == "bf16")


def _training(row, model, call):
    volumes = torch.randint(0, 256, (row.batch, *row.model.clip), dtype=torch.uint8)
    labels = torch.arange(row.batch) % row.model.classes
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with _autocast(row):
            logits = call(volumes.float() / 255)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return step


def _inference(row, model, call):
    volumes = torch.rand(row.batch, *row.model.clip)

    def forward():
        with torch.inference_mode(), _autocast(row):
            return call(volumes)

    return forward
