"""The layers of the networks. This module imports torch: nothing imports it before torch was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class RecurrentNetwork(nn.Module):  # type: ignore[misc]  # torch is not there when types are checked
    """A GRU or LSTM whose last state is weighed into one number."""

    def __init__(self, kind: str, features: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        cell = {"gru": nn.GRU, "lstm": nn.LSTM}[kind]
        self.cell = cell(features, hidden, layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.head = zero_head(hidden)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Map (batch, length, features) to (batch,)."""
        states, _ = self.cell(windows)
        return self.head(self.dropout(states[:, -1])).squeeze(-1)


class Encoder(nn.Module):  # type: ignore[misc]
    """A Transformer encoder with learned positions; what it says of the last bar is weighed into one number."""

    def __init__(
        self, features: int, length: int, *, width: int, heads: int, layers: int, feedforward: int, dropout: float
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.positions = nn.Parameter(torch.zeros(length, width))
        nn.init.normal_(self.positions, std=0.02)
        layer = nn.TransformerEncoderLayer(width, heads, feedforward, dropout, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = zero_head(width)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Map (batch, length, features) to (batch,)."""
        states = self.encoder(self.embed(windows) + self.positions)
        return self.head(states[:, -1]).squeeze(-1)


def zero_head(width: int) -> nn.Linear:
    """Make a last layer that says nothing until it has learned."""
    head = nn.Linear(width, 1)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


def recurrent(kind: str, features: int, length: int, chosen: Mapping[str, Any]) -> nn.Module:
    """Make a GRU or LSTM; it takes windows of any length."""
    return RecurrentNetwork(kind, features, chosen["hidden"], chosen["layers"], chosen["dropout"])


def transformer(kind: str, features: int, length: int, chosen: Mapping[str, Any]) -> nn.Module:
    """Make a Transformer encoder."""
    sizes = {name: chosen[name] for name in ("width", "heads", "layers", "feedforward", "dropout")}
    return Encoder(features, length, **sizes)
