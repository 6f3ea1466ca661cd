"""Networks of torch over windows of bars: GRU, LSTM and Transformer encoder, from a window to one number.

Writes  a safetensors file: names, shapes and numbers, which can't run code

Repeatable: one seed, a fixed number of threads, deterministic kernels, batches in an order that a seeded generator of
numpy gives. The last layer begins at zero, so that an untrained network forecasts no return at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.errors import first_line
from ml.config import Resources
from ml.examples import Floats, Positions
from ml.finance.windows import Windows
from ml.model import Say
from ml.model_files import TamperedError
from ml.torch_runtime import prepare_torch, require_torch

if TYPE_CHECKING:
    import torch

FORECAST_BATCH = 1024
"""Windows per forward pass when forecasting; the last batch is padded to it, since kernels round by their size."""


@dataclass(frozen=True)
class Network:
    """A trained network."""

    module: Any
    device: Any

    def predict(self, windows: Windows, ends: Positions) -> Floats:
        """Forecast the windows that end with some rows."""
        import torch

        self.module.eval()
        found = np.empty(len(ends))
        with torch.inference_mode():
            for begin in range(0, len(ends), FORECAST_BATCH):
                chosen = ends[begin : begin + FORECAST_BATCH]
                padded = np.concatenate([chosen, np.repeat(chosen[-1:], FORECAST_BATCH - len(chosen))])
                answers = self.module(torch.from_numpy(windows.gather(padded)).to(self.device))
                found[begin : begin + len(chosen)] = answers.cpu().numpy()[: len(chosen)]
        return found

    def save(self, path: Path) -> None:
        """Write the weights."""
        from safetensors.numpy import save_file

        state = self.module.state_dict()
        save_file({name: np.ascontiguousarray(state[name].cpu().numpy()) for name in sorted(state)}, path)


def fit_network(
    model_type: str,
    windows: Windows,
    ends: Positions,
    targets: Floats,
    *,
    hyperparameters: Mapping[str, Any],
    seed: int,
    resources: Resources,
    say: Say,
) -> Network:
    """Train a network on squared errors of targets of about unit size."""
    require_torch(say)
    device = prepare_torch(resources, seed)
    import torch

    module = build(model_type, windows.rows.shape[1], windows.length, hyperparameters).to(device)
    size, epochs = hyperparameters["batch_size"], hyperparameters["epochs"]
    decay = hyperparameters["weight_decay"]
    optimizer = torch.optim.AdamW(module.parameters(), lr=hyperparameters["learning_rate"], weight_decay=decay)
    steps = epochs * -(-len(ends) // size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    wanted = torch.from_numpy(targets.astype(np.float32))
    order = np.random.default_rng(seed)
    module.train()
    for _ in range(epochs):
        shuffled = order.permutation(len(ends))
        for begin in range(0, len(ends), size):
            chosen = shuffled[begin : begin + size]
            answers = module(torch.from_numpy(windows.gather(ends[chosen])).to(device))
            loss = torch.nn.functional.mse_loss(answers, wanted[chosen].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return Network(module, device)


def load_network(
    model_type: str, path: Path, shape: tuple[int, int], hyperparameters: Mapping[str, Any], resources: Resources
) -> Network:
    """Read what `save` wrote; `shape` is the number of features and the window; the caller has checked the sha256.

    Raises:
        TamperedError: the file is no safetensors, or of another network.
    """
    require_torch(lambda line: None)
    device = prepare_torch(resources, 0)
    import torch
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    module = build(model_type, *shape, hyperparameters)
    try:
        module.load_state_dict({name: torch.from_numpy(values) for name, values in load_file(path).items()})
    except (SafetensorError, RuntimeError, ValueError) as error:
        why = first_line(error)
        raise TamperedError(f"{path} holds no weights of this network ({why}); train the model again") from None
    return Network(module.to(device), device)


def build(model_type: str, features: int, length: int, hyperparameters: Mapping[str, Any]) -> torch.nn.Module:
    """Make an untrained network that takes (batch, length, features) and gives (batch,)."""
    from ml.finance import torch_modules

    makers: dict[str, Callable[..., Any]] = {
        "gru": torch_modules.recurrent,
        "lstm": torch_modules.recurrent,
        "transformer": torch_modules.transformer,
    }
    return makers[model_type](model_type, features, length, hyperparameters)
