"""Train the detectors of chapter 10 and measure them: `python tools/train_heads.py`.

Five heads, two tasks and three seeds make 30 runs, each of a minute or two on one core. A run whose weights
are there is left out, so that the command can be stopped and go on. Each stores its weights, in float16, in
`src/convlab/weights`, and what these rounded weights reach in `results.json` beside them: average precision,
in all and by size, on a thousand scenes that no run has trained on.

The chapter also tells of other seeds and other numbers of steps, of which only the results are stored:

    python tools/train_heads.py --results-only --tasks contextual --heads FPN dilated --seeds 3 4 5
    python tools/train_heads.py --results-only --tasks contextual --heads FPN --steps 1000
    python tools/train_heads.py --results-only --tasks contextual --heads dilated --steps 4000
    python tools/train_heads.py --results-only --tasks local --heads "each alone" FPN --steps 4000

On one thread the same machine repeats a run to the bit. Another processor may add in another order, and
training makes more of that: there, expect the spread of the seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise, product
from pathlib import Path

import torch
from safetensors.torch import save_file

from convlab import detector
from convlab.data import CLASSES, Scene, scene
from convlab.detector import HEADS, SIDES, Detector

WEIGHTS = Path(detector.__file__).parent / "weights"
SIDE = 64  # of a scene, in pixels
STEPS, BATCH, RATE = 2000, 16, 6e-3
FROZEN = 0.7  # after this share of the steps, batch norm no longer looks at the batch
SCENES = 4000  # for training; each seed has its own
TESTS, TEST_SEED = 1000, 1000  # other scenes than those of any training


@lru_cache(maxsize=4)
def series(task: str, seed: int, count: int) -> list[Scene]:
    """The first scenes of a series."""
    return [scene(index, task=task, size=SIDE, seed=seed) for index in range(count)]


def train(
    head: str, task: str, seed: int, steps: int = STEPS, progress: Callable[[int, float], None] | None = None
) -> Detector:
    """A detector, trained for so many steps; `progress` is told each step and its loss."""
    torch.manual_seed(seed)
    model = Detector(head, len(CLASSES[task]))
    model.to(memory_format=torch.channels_last)  # quicker on a processor
    scenes = series(task, seed, min(SCENES, steps * BATCH))
    images = detector.as_input(scenes)
    wanted = [detector.targets(one, model.strides) for one in scenes]
    classes, boxes = (torch.stack([torch.from_numpy(one[part]) for one in wanted]) for part in (0, 1))
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.2)
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        if step == round(steps * FROZEN):
            model.eval()  # batch norm: from here on with the mean and spread of all scenes, as in use
        if len(order) < BATCH:
            order = torch.randperm(len(scenes))
        batch, order = order[:BATCH], order[BATCH:]
        value = detector.loss(*model(images[batch] / 255), classes[batch], boxes[batch])
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimiser.step()
        schedule.step()
        if progress:
            progress(step, value.item())
    return model.eval()


def rounded(model: Detector) -> dict[str, torch.Tensor]:
    """Weights in float16, and the model's own rounded in the same way."""
    weights = {
        name: values.half().contiguous()
        for name, values in model.state_dict().items()
        if values.is_floating_point()
    }
    model.load_state_dict({name: values.float() for name, values in weights.items()}, strict=False)
    return weights


def measure(model: Detector, task: str) -> dict[str, list[float]]:
    """Average precision at an IoU of 0.5 and 0.75: of all objects, then of each range of `SIDES`."""
    scenes = series(task, TEST_SEED, TESTS)
    found, true = detector.detect(model, detector.as_input(scenes)), detector.truth(scenes)
    limits = SIDES[task]
    sides = [(0, limits[-1]), *pairwise(limits)]
    return {
        f"AP{round(100 * overlap)}": [
            round(detector.average_precision(found, true, side, overlap), 4) for side in sides
        ]
        for overlap in (0.5, 0.75)
    }


def stored(table: Path) -> dict[str, dict[str, list[float]]]:
    """The results that are there."""
    return dict(json.loads(table.read_text("utf-8"))) if table.exists() else {}


def main(argv: list[str] | None = None) -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS))
    parser.add_argument("--tasks", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--folder", type=Path, default=WEIGHTS)
    parser.add_argument("--results-only", action="store_true", help="store no weights")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    table = arguments.folder / "results.json"
    for seed, task, head in product(arguments.seeds, arguments.tasks, arguments.heads):
        name = f"{head}, {task}, {seed}" + (f", {arguments.steps} steps" if arguments.steps != STEPS else "")
        path = arguments.folder / detector.file_name(head, task, seed)
        if name in stored(table) if arguments.results_only else path.exists():
            continue
        begin = time.perf_counter()
        model = train(head, task, seed, arguments.steps)
        weights = rounded(model)
        precision = measure(model, task)
        results = stored(table) | {name: precision}
        table.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        if not arguments.results_only:
            save_file(weights, path)
        print(f"{name}: {precision}, {time.perf_counter() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
