"""The order of the training records: shuffled, with records of like length in one batch, so that little is padding.

transformers' own `group_by_length` sorts within megabatches and leaves them so: every megabatch goes from long to short. Here
the batches are shuffled as well. Only the company that a record keeps depends on its length, never when it comes or how often.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from torch.utils.data import Sampler
from transformers import TrainerCallback

_MEGABATCH = 50  # steps' worth of records that are sorted together

# Widths of the rows that a batch of records becomes in the model.
RowWidths = Callable[[Sequence[int]], Sequence[int]]


class LengthBatches(Sampler[int]):
    """Every record once an epoch; units of one prompt stay in one batch where they fit.

    The order follows from seed and epoch alone, so every process of a run draws the same, and a resumed run goes on in it.

    Args:
        units: record indices that are cheaper together, such as the pairs of one prompt; each index in one unit.
        widths: tokens of each unit's row.
        batch: records per process and batch.
        processes: processes that take a batch each at a time; theirs are alike, so that none waits for another.
        seed: of the run.
    """

    def __init__(self, units: Sequence[Sequence[int]], widths: Sequence[int], batch: int, processes: int, seed: int) -> None:
        assert len(units) == len(widths)
        self._units = [
            (width, list(unit[i : i + batch]))
            for unit, width in zip(units, widths, strict=True)
            for i in range(0, len(unit), batch)
        ]
        self._batch, self._processes, self._seed, self._epoch = batch, processes, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return sum(len(unit) for _, unit in self._units)

    def __iter__(self) -> Iterator[int]:
        draw = random.Random(f"{self._seed}:{self._epoch}")
        units = draw.sample(self._units, len(self._units))
        step = self._batch * self._processes
        whole = len(units) - len(units) % step
        body, rest, rounds = units[:whole], units[whole:], []  # what is left over is drawn before anything is sorted
        for megabatch in (body[i : i + _MEGABATCH * step] for i in range(0, whole, _MEGABATCH * step)):
            batches, left = _filled(sorted(megabatch, key=lambda unit: unit[0], reverse=True), self._batch)
            rounds += [batches[i : i + self._processes] for i in range(0, len(batches), self._processes)]
            rest += left
        draw.shuffle(rounds)
        rounds.sort(key=len, reverse=True)  # stable: a round that isn't one batch per process comes last
        for batches in rounds:
            for batch in batches:
                yield from batch
        for _, unit in rest:
            yield from unit


_Unit = tuple[int, list[int]]


def _filled(units: list[_Unit], size: int) -> tuple[list[list[int]], list[_Unit]]:
    """Batches of exactly `size` records, each unit put into the first batch with room; and what filled none.

    Units come from wide to narrow, so the many small ones fill what the few large ones leave.
    """
    full: list[list[int]] = []
    open_batches: list[list[_Unit]] = []
    for unit in units:
        room = size - len(unit[1])
        batch = next((b for b in open_batches if sum(len(u) for _, u in b) <= room), None)
        if batch is None:
            open_batches.append(batch := [])
        batch.append(unit)
        if sum(len(u) for _, u in batch) == size:
            open_batches.remove(batch)
            full.append([record for _, u in batch for record in u])
    return full, [unit for batch in open_batches for unit in batch]


class EpochOfSampler(TrainerCallback):
    """Tells the sampler its epoch: accelerate doesn't reach it in a resumed run of several processes."""

    def __init__(self, sampler: LengthBatches) -> None:
        self.sampler = sampler

    def on_epoch_begin(self, args: object, state: object, control: object, **kwargs: object) -> None:
        self.sampler.set_epoch(int(getattr(state, "epoch", 0) + 1e-6))


def padded_share(order: Sequence[int], batch: int, widths_of: RowWidths, multiple: int = 1) -> float:
    """The share of a pass's tokens that are padding, when `order` is cut into batches as wide as a multiple of `multiple`."""
    batches = [widths_of(order[i : i + batch]) for i in range(0, len(order), batch)]
    cells = sum(-(-max(widths) // multiple) * multiple * len(widths) for widths in batches)
    return 1 - sum(map(sum, batches)) / cells if cells else 0.0
