"""PyTorch: as its users write it, and as those do who know what costs time."""

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, TensorDataset

from .cases import N_CLASSES, Case, Data, batches
from .measure import Contestant, Skipped, fitting, stepping

LOADER = "PyTorch, DataLoader, float32"
EAGER, EAGER_FUSED = "PyTorch, float32", "PyTorch, float32, fused"
AUTOCAST, AUTOCAST_FUSED = "PyTorch, autocast bf16", "PyTorch, autocast bf16, fused"
COMPILED, COMPILED_AUTOCAST = "PyTorch, compiled, float32, fused", "PyTorch, compiled, autocast bf16, fused"
RESIDENT = {  # autocast, fused
    EAGER: (False, False),
    EAGER_FUSED: (False, True),
    AUTOCAST: (True, False),
    AUTOCAST_FUSED: (True, True),
}
SKORCH = "skorch, float32"
FLOAT32 = (LOADER, EAGER, EAGER_FUSED, COMPILED)

Step = Callable[[NDArray[np.int64]], Tensor]


def network(case: Case, initial: list[NDArray[Any]] | None = None) -> nn.Sequential:
    """The network. initial: the values it starts from, in the order of its parameters, W (n_in, n_out)."""
    layers: list[nn.Module] = []
    for n_in, n_out in case.pairs[:-1]:
        layers += [nn.Linear(n_in, n_out), *([nn.BatchNorm1d(n_out)] if case.norm else []), nn.ReLU()]
        layers += [nn.Dropout(case.dropout)] if case.dropout else []
    model = nn.Sequential(*layers, nn.Linear(*case.pairs[-1]))
    if initial is not None:
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), initial, strict=True):
                parameter.copy_(torch.from_numpy(value.T))
    return model


def optimiser(case: Case, model: nn.Module, *, fused: bool = False) -> torch.optim.Optimizer:
    """The rule, with decay on weight matrices only. The gradient of λ Σ‖W‖² is 2 λ W."""
    weights = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    decay = 2 * case.penalty if case.rule == "sgd" else case.decay
    groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    rule = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[case.rule]
    return rule(groups, lr=case.lr, **({"fused": True} if fused else {}))


def resident_step(
    case: Case, data: Data, initial: Any = None, *, autocast: bool = False, fused: bool = False, compiled: bool = False
) -> Step:
    """A step on rows of the data set in memory, which shares the memory of NumPy's array."""
    torch.manual_seed(0)
    X, y, shift, scale = map(torch.from_numpy, (data.X, data.y, data.shift, data.scale))
    model = network(case, initial)
    rule = optimiser(case, model, fused=fused)

    def loss_of(raw: Tensor, target: Tensor) -> Tensor:
        x = (raw.float() - shift) * scale if compiled else raw.float().sub_(shift).mul_(scale)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return cross_entropy(model(x), target)

    forward = torch.compile(loss_of) if compiled else loss_of

    def step(rows: NDArray[np.int64]) -> Tensor:
        indices = torch.from_numpy(rows)
        rule.zero_grad()
        loss = forward(X[indices], y[indices])
        loss.backward()
        rule.step()
        return loss

    return step


class Images(Dataset[tuple[Tensor, int]]):
    """Each item made as torchvision's ToTensor and Normalize make it, without the detour over a PIL image."""

    def __init__(self, data: Data) -> None:
        self.X, self.y = data.X, data.y
        self.mean, self.std = torch.from_numpy(data.shift / 255), torch.from_numpy(1 / (255 * data.scale))

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        x = torch.from_numpy(self.X[i]).to(torch.float32).div(255)
        return x.sub_(self.mean).div_(self.std), int(self.y[i])


def dataset(data: Data) -> Dataset[Any]:
    """Images converted item by item; a table of float32 prepared once."""
    if data.X.dtype == np.uint8:
        return Images(data)
    return TensorDataset(torch.from_numpy(data.prepared(len(data.X))), torch.from_numpy(data.y))


def loader_step(case: Case, data: Data) -> Callable[[], Tensor]:
    """The training loop of the tutorials."""
    torch.manual_seed(0)
    loader = DataLoader(dataset(data), batch_size=case.batch, shuffle=True, num_workers=0)
    model = network(case)
    rule, criterion = optimiser(case, model), nn.CrossEntropyLoss()

    def training() -> Iterator[Tensor]:
        while True:
            for x, y in loader:
                rule.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                rule.step()
                yield loss

    steps = training()
    return lambda: next(steps)


def contestants(case: Case, data: Data) -> list[Contestant]:
    """All but those that compile."""
    found = [stepping(LOADER, loader_step(case, data))]
    for name, (autocast, fused) in RESIDENT.items():
        step, rows = resident_step(case, data, autocast=autocast, fused=fused), batches(case)
        found.append(stepping(name, lambda step=step, rows=rows: step(next(rows))))
    return found


def compiled(case: Case, data: Data, *, autocast: bool) -> tuple[Contestant, float]:
    """Preparation, forward, loss and backward through torch.compile, and the seconds the first step took."""
    name = COMPILED_AUTOCAST if autocast else COMPILED
    step, rows = resident_step(case, data, autocast=autocast, fused=True, compiled=True), batches(case, drop_last=True)
    begin = perf_counter()
    try:
        step(next(rows))
    except Exception as error:  # what a missing or broken compiler raises differs from version to version
        raise Skipped(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}") from None
    return stepping(name, lambda: step(next(rows))), perf_counter() - begin


def skorch(case: Case, data: Data, rows: int) -> Contestant:
    """skorch's fit of the same network on `rows` rows prepared once."""
    try:
        import skorch as library
    except ImportError:
        raise Skipped("skorch is not installed") from None
    torch.manual_seed(0)
    rule = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[case.rule]
    decay = 2 * case.penalty if case.rule == "sgd" else case.decay
    net = library.NeuralNetClassifier(
        network(case), criterion=nn.CrossEntropyLoss, optimizer=rule, lr=case.lr, batch_size=case.batch,
        optimizer__weight_decay=decay, train_split=None, iterator_train__shuffle=True, verbose=0,
        classes=list(range(N_CLASSES)),
    )  # fmt: skip
    X, y = data.prepared(rows), data.y[:rows]
    net.initialize()
    return fitting(SKORCH, lambda epochs: net.partial_fit(X, y, epochs=epochs), -(-rows // case.batch))
