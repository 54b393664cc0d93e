# SPDX-License-Identifier: Apache-2.0
"""The models in PyTorch, as one would write them for speed."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, model):
        super().__init__()
        width = model.width
        self.heads, self.dropout, self.output_gelu = model.heads, model.dropout, model.output_gelu
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.dense1 = nn.Linear(width, model.mlp)
        self.dense2 = nn.Linear(model.mlp, width)

    def attention(self, x):
        batch, tokens, width = x.shape
        split = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.projection(y.transpose(1, 2).reshape(batch, tokens, width))

    def mlp(self, x):
        y = self.dense2(F.gelu(self.dense1(x), approximate="tanh"))
        return F.gelu(y, approximate="tanh") if self.output_gelu else y

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViViT(nn.Module):
    def __init__(self, model):
        super().__init__()
        frames, height, width = model.tubelet
        self.tubelet = model.tubelet
        self.grid = [size // part for size, part in zip(model.clip, model.tubelet)]
        self.embedding = nn.Linear(frames * height * width * model.clip[3], model.width)
        self.token = nn.Parameter(torch.zeros(1, 1, model.width)) if model.class_token else None
        self.positions = nn.Parameter(0.02 * torch.randn(1, model.tokens, model.width))
        self.blocks = nn.ModuleList([Block(model) for _ in range(model.layers)])
        self.norm = nn.LayerNorm(model.width, eps=1e-6)
        self.head = nn.Linear(model.width, model.classes)

    def tubelets(self, x):
        """Clips (batch, frames, height, width, channels) as rows of tubelets."""
        (t, h, w), (a, b, c) = self.grid, self.tubelet
        batch, channels = x.shape[0], x.shape[-1]
        x = x[:, : t * a, : h * b, : w * c].reshape(batch, t, a, h, b, w, c, channels)
        return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(batch, t * h * w, a * b * c * channels)

    def forward(self, x):
        x = self.embedding(self.tubelets(x))
        if self.token is not None:
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        x = x + self.positions
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x[:, 0] if self.token is not None else x.mean(1))
