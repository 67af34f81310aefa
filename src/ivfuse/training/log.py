"""Logging of a training run to the console, a JSONL file and TensorBoard."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from ivfuse.runtime.files import write_atomic
from ivfuse.training.recipe import StageRecipe
from ivfuse.training.validation import Score


class Log:
    """Writes to all three logs; only the log of the leading process is active.

    Args:
        out: folder of the run.
        position: (stage, step) at which the run resumes; later lines of ``log.jsonl`` are removed.
        active: whether anything is logged.
    """

    def __init__(self, out: Path, position: tuple[int, int], *, active: bool = True) -> None:
        """Open the logs."""
        self.active, self.path = active, out / "log.jsonl"
        self.started, self.seen, self.offset = time.perf_counter(), 0, 0
        if not active:
            return
        self._forget(position)
        self.board: Any = SummaryWriter(str(out / "tensorboard"))
        self.file = self.path.open("a", encoding="utf-8")

    def __enter__(self) -> Log:
        """Return the log."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close the files."""
        if self.active:
            self.file.close()
            self.board.close()

    def say(self, text: str) -> None:
        """Print one line to the console."""
        if self.active:
            print(text, flush=True)

    def step(
        self, index: int, stage: StageRecipe, step: int, rate: float, loss: Tensor, parts: dict[str, Tensor]
    ) -> None:
        """Log the losses of a step."""
        values = {"loss": float(loss.detach()), **{k: float(v.detach()) for k, v in parts.items()}}
        self.seen += 1
        text = "  ".join(f"{k} {v:.4f}" for k, v in values.items())
        self.say(f"[{stage.name}] {step}/{stage.steps}  {text}  ({self._pace(stage, step)})")
        self._write(index, stage.name, step, {**values, "lr": rate})

    def score(
        self, index: int, stage: StageRecipe, step: int, score: Score, best: float, seconds: float
    ) -> None:
        """Log the result of a validation."""
        outcome = f"rank {score.rank:.3f} (best {best:.3f}), {seconds:.0f} s"
        self.say(f"[{stage.name}] {step}/{stage.steps}  validation: {outcome}")
        for name, row in score.means.items():
            self.say("    " + name + "  " + "  ".join(f"{m} {v:.3f}" for m, v in row.items()))
        flat = {f"{name}/{m}": v for name, row in score.means.items() for m, v in row.items()}
        self._write(index, stage.name, step, {"rank": score.rank, **flat})

    def _pace(self, stage: StageRecipe, step: int) -> str:
        now = time.perf_counter()
        if not self.offset:
            self.offset, self.started = step, now
            return "started"
        left = (now - self.started) / max(1, step - self.offset) * (stage.steps - step)
        if step == stage.steps:
            self.offset = 0
        return f"{left / 60:.0f} min left in this stage"

    def _write(self, index: int, name: str, step: int, values: dict[str, float]) -> None:
        if not self.active:
            return
        self.file.write(json.dumps({"stage": index, "name": name, "step": step, **values}) + "\n")
        self.file.flush()
        for key, value in values.items():
            self.board.add_scalar(f"{name}/{key}", value, step)

    def _forget(self, position: tuple[int, int]) -> None:
        """Remove the lines that a resumed run will write again."""
        if not self.path.exists():
            return
        lines = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                break  # an incomplete line of a killed run
            if (entry["stage"], entry["step"]) <= position:
                lines.append(line)
        write_atomic(self.path, "".join(f"{line}\n" for line in lines))
