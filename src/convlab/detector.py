"""Small detectors for an experiment on feature pyramids: one backbone, and heads that read its maps.

The backbone halves a scene of `convlab.data` five times; its last four maps are C2 to C5, with 4, 8, 16 and
32 pixels from unit to unit. At each place of the maps that it reads, a head says which class is there, and
where its box is. What it reads makes the `HEADS`: four, and a control. The detectors are made to be read, and
to be trained in a minute or two on one processor core, by `tools/train_heads.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib.resources import as_file, files
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from convlab.data import CLASSES, Scene
from convlab.pyramid import FPN, level_of_box

Array = NDArray[Any]

HEADS = {
    "deepest": "one head, on the deepest map",
    "shallowest": "one head, on the shallowest map",
    "each alone": "a head of its own on every map, as in SSD",
    "FPN": "one head, shared by all levels of a feature pyramid",
    "dilated": "a control: one head, on the shallowest map, behind dilated convolutions",
}
STRIDES = (4, 8, 16, 32)  # of C2 to C5
DEPTH = 24  # maps of each level
PARAMETERS = 71_000  # that every detector has, nearly
RATES = (1, 2, 4, 8)  # of the dilated convolutions: with the head, units see 151 pixels, without gaps
SIDES = {"local": (6, 12, 24, 43), "contextual": (6, 8, 11)}  # limits of small, larger, … objects, in pixels


class Found(NamedTuple):
    """What is in one scene, or what a detector says: boxes (K, 4), classes (K,) and scores (K,)."""

    boxes: Array
    classes: Array
    scores: Array


def _conv(before: int, after: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """A 3×3 convolution with batch norm and ReLU."""
    conv = nn.Conv2d(before, after, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU())


class Detector(nn.Module):
    """A backbone with one of the `HEADS`; all have nearly `PARAMETERS` parameters, all in use.

    A detector that reads C2 alone has no layers for C3 to C5: what it saves there widens its head, and costs
    more multiplications. On a map to which no object belongs, a head learns only to say nothing.

    The call takes pictures (N, 3, H, W) with numbers from 0 to 1, H and W multiples of 32. It gives, for all
    places of all maps that the heads read, the finest map first and row by row, the logits of the classes
    (N, places, classes), and boxes (N, places, 4) in pixels.

    >>> sorted({sum(p.numel() for p in Detector(head).parameters()) // 1000 for head in HEADS})
    [70, 71]
    """

    def __init__(self, head: str, classes: int = 4) -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"`head` must be one of {', '.join(HEADS)}, got {head!r}")
        alone = {"deepest": STRIDES[3:], "shallowest": STRIDES[:1], "dilated": STRIDES[:1]}
        self.strides = alone.get(head, STRIDES)
        stages = 1 if self.strides == STRIDES[:1] else 4
        self.stem = _conv(3, 16, stride=2)
        self.halving = nn.ModuleList(_conv(DEPTH if stage else 16, DEPTH, 2) for stage in range(stages))
        self.keeping = nn.ModuleList(_conv(DEPTH, DEPTH) for _ in range(stages))
        rates = RATES if head == "dilated" else ()
        self.dilated = nn.ModuleList(_conv(DEPTH, DEPTH, dilation=rate) for rate in rates)
        self.pyramid = FPN([DEPTH] * stages, DEPTH) if head == "FPN" else None
        heads = 4 if head == "each alone" else 1
        spent = sum(parameter.numel() for parameter in self.parameters())
        outputs = classes + 4
        per_width = 9 * (DEPTH + outputs) + 2  # two 3×3 convolutions and a batch norm
        width = round(((PARAMETERS - spent) / heads - outputs) / per_width)
        self.heads = nn.ModuleList(
            nn.Sequential(_conv(DEPTH, width), nn.Conv2d(width, outputs, 3, padding=1)) for _ in range(heads)
        )
        for module in self.heads:
            last = module[-1]  # type: ignore[index]
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)
            nn.init.constant_(last.bias[4:], -4.6)  # at first, each class has a chance of 1 % everywhere

    def maps(self, images: Tensor) -> list[Tensor]:
        """Maps that the heads read, the finest first."""
        x, found = self.stem(4 * images - 2), []
        for halve, keep in zip(self.halving, self.keeping, strict=True):
            x = halve(x)
            x = x + keep(x)
            found.append(x)
        for widen in self.dilated:
            found[0] = found[0] + widen(found[0])
        if self.pyramid is not None:
            return list(self.pyramid(found))
        return found[-len(self.strides) :]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, places, classes) and boxes (N, places, 4) of pictures (N, 3, H, W)."""
        logits, boxes = [], []
        for number, (x, stride) in enumerate(zip(self.maps(images), self.strides, strict=True)):
            raw = self.heads[number % len(self.heads)](x).permute(0, 2, 3, 1)
            centre = _centres(raw.shape[1], raw.shape[2], stride) + stride * raw[..., :2]
            half = stride / 2 * raw[..., 2:4].clamp(-4, 4).exp()
            boxes.append(torch.cat([centre - half, centre + half], -1).flatten(1, 2))
            logits.append(raw[..., 4:].flatten(1, 2))
        return torch.cat(logits, 1), torch.cat(boxes, 1)


def _centres(height: int, width: int, stride: int) -> Tensor:
    """(x, y) of the places of a map, in pixels: (height, width, 2)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (torch.stack([x, y], -1) + 0.5) * stride


def as_input(scenes: Iterable[Scene]) -> Tensor:
    """Pictures of scenes as bytes (N, 3, H, W); divide by 255 before they go into a network."""
    return torch.from_numpy(np.stack([scene.image for scene in scenes]).transpose(0, 3, 1, 2).copy())


def targets(scene: Scene, strides: Sequence[int]) -> tuple[Array, Array]:
    """What each place should say: its class (places,), −1 for none, and its box (places, 4).

    A box belongs to one map: `level_of_box` with 24 pixels for level 4, held to the maps that there are.
    There, the place at its centre answers for it, and all those in its middle half. Where two boxes want the
    same place, the smaller one has it.
    """
    height, width = scene.image.shape[:2]
    order = np.argsort(-np.prod(scene.boxes[:, 2:] - scene.boxes[:, :2], axis=1), kind="stable")
    levels = [stride.bit_length() - 1 for stride in strides]
    classes = [np.full((height // stride, width // stride), -1) for stride in strides]
    boxes = [np.zeros((*one.shape, 4), np.float32) for one in classes]
    for number in order:
        x1, y1, x2, y2 = scene.boxes[number].tolist()
        level = level_of_box(x2 - x1, y2 - y1, 4, size=24, lowest=levels[0], highest=levels[-1])
        stride = strides[levels.index(level)]
        rows, columns = (
            slice(
                min(int(middle / stride), round((middle - quarter) / stride)),
                max(int(middle / stride) + 1, round((middle + quarter) / stride)),
            )
            for middle, quarter in (((y1 + y2) / 2, (y2 - y1) / 4), ((x1 + x2) / 2, (x2 - x1) / 4))
        )
        classes[levels.index(level)][rows, columns] = scene.classes[number]
        boxes[levels.index(level)][rows, columns] = scene.boxes[number]
    return np.concatenate([one.ravel() for one in classes]), np.concatenate(
        [one.reshape(-1, 4) for one in boxes]
    )


def loss(logits: Tensor, boxes: Tensor, true_classes: Tensor, true_boxes: Tensor) -> Tensor:
    """Cross entropy of the classes plus 1 − GIoU of the boxes (Rezatofighi et al. 2019).

    Each class is a question of its own, yes or no, at every place; a box counts where an object is. Both
    sums are divided by the number of places that have an object.
    """
    objects = true_classes >= 0
    wanted = functional.one_hot(true_classes.clamp(min=0), logits.shape[-1]) * objects[..., None]
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted.to(logits.dtype), reduction="sum")
    a, b = boxes[objects], true_boxes[objects]
    area = (a[:, 2:] - a[:, :2]).prod(-1) + (b[:, 2:] - b[:, :2]).prod(-1)
    inner = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    outer = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(-1)
    union = area - inner
    giou = inner / union - (outer - union) / outer
    return (entropy + (1 - giou).sum()) / max(int(objects.sum()), 1)


def iou(a: ArrayLike, b: ArrayLike) -> Array:
    """Intersection over union of every box of a (K, 4) with every box of b (M, 4): (K, M).

    >>> iou([[0, 0, 2, 2]], [[0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 3, 1]]).round(3)
    array([[1.   , 0.333, 0.   ]])
    """
    a, b = np.asarray(a, float)[:, None], np.asarray(b, float)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    inner = sides.clip(0).prod(-1)
    return np.asarray(
        inner / ((a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - inner)
    )


@torch.no_grad()
def detect(model: Detector, images: Tensor, most: int = 50) -> list[Found]:
    """What a trained detector finds in pictures (N, 3, H, W) of bytes, the highest score first.

    Of each picture the `most` highest scores; of boxes of one class with an IoU above 0.5, the best.
    """
    model.eval()
    found = []
    for batch in torch.split(images, 50):
        logits, boxes = model(batch / 255)
        chances = logits.sigmoid().flatten(1)
        scores, places = chances.topk(min(most, chances.shape[1]))
        for number in range(len(batch)):
            place, kind = np.divmod(places[number].numpy(), logits.shape[-1])
            box = boxes[number].numpy()[place]
            rival = (iou(box, box) > 0.5) & (kind[:, None] == kind)
            kept: list[int] = []
            for one in range(len(box)):
                if not rival[one, kept].any():
                    kept.append(one)
            found.append(Found(box[kept], kind[kept], scores[number].numpy()[kept]))
    return found


def truth(scenes: Iterable[Scene]) -> list[Found]:
    """What is in each scene."""
    return [Found(scene.boxes, scene.classes, np.ones(len(scene.boxes))) for scene in scenes]


def average_precision(
    found: Sequence[Found],
    true: Sequence[Found],
    sides: tuple[float, float] = (0, np.inf),
    overlap: float = 0.5,
) -> float:
    """AP: the area under precision over recall, averaged over the classes there are.

    Detections are taken from the highest score down, of all pictures together. Each is right if it meets an
    object of its class, not found before, with an IoU of at least `overlap` (of several, the largest).
    Precision at a recall is the best at this recall or a higher one. With `sides`, only objects count whose
    side √(w·h) is at least the first and less than the second, in pixels; a detection that finds another
    object, or finds none and has itself such another side, is neither right nor wrong (as in COCO).

    >>> box = np.array([[0, 0, 8, 8]])
    >>> one, two = Found(box, np.array([0]), np.array([0.9])), Found(box + 50, np.array([0]), np.array([0.5]))
    >>> average_precision([one, one], [one, two])  # one of two found, and then a wrong one
    0.5
    """
    classes = sorted({int(kind) for one in true for kind in one.classes[_within(one.boxes, sides)]})
    return float(np.mean([_precision_of_class(found, true, sides, overlap, kind) for kind in classes]))


def _within(boxes: Array, sides: tuple[float, float]) -> Array:
    side = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(-1))
    return np.asarray((sides[0] <= side) & (side < sides[1]))


def _precision_of_class(
    found: Sequence[Found], true: Sequence[Found], sides: tuple[float, float], overlap: float, kind: int
) -> float:
    scores, rights, count = [], [], 0
    for said, there in zip(found, true, strict=True):
        boxes = there.boxes[there.classes == kind]
        counts = _within(boxes, sides)
        count += int(counts.sum())
        mine = said.boxes[said.classes == kind]
        overlaps, inside = iou(mine, boxes), _within(mine, sides)
        for number, score in enumerate(said.scores[said.classes == kind]):
            free = overlaps[number] * (overlaps[number] >= overlap)
            best = int(np.argmax(free + counts * (free > 0))) if free.any() else -1  # first those that count
            if best >= 0:
                overlaps[:, best] = 0  # found
            if counts[best] if best >= 0 else inside[number]:
                scores.append(score)
                rights.append(best >= 0)
    right = np.array(rights, bool)[np.argsort(-np.array(scores), kind="stable")]
    precision = right.cumsum() / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[right].sum() / count)


def results() -> dict[str, Any]:
    """What `tools/train_heads.py` measured: of each run its average precision, in all and by size.

    A run is "head, task, seed", with its number of steps behind it if it isn't the usual one. Weights come
    with the library for seeds 0 to 2 and the usual number of steps.
    """
    return dict(json.loads(_WEIGHTS.joinpath("results.json").read_text(encoding="utf-8")))


def trained(head: str, task: str, seed: int = 0) -> Detector:
    """A detector with the weights that come with the library, which `tools/train_heads.py` made.

    They are float16 in the file and float32 here.
    """
    from safetensors.torch import load_file

    if task not in SIDES:
        raise ValueError(f"`task` must be one of {', '.join(SIDES)}, got {task!r}")
    model = Detector(head, len(CLASSES[task]))
    with as_file(_WEIGHTS.joinpath(file_name(head, task, seed))) as path:
        weights = {name: values.float() for name, values in load_file(path).items()}
    model.load_state_dict(weights, strict=False)  # without batch norm's counts of batches
    return model.eval()


def file_name(head: str, task: str, seed: int) -> str:
    """Name of the file with a detector's weights.

    >>> file_name("each alone", "local", 0)
    'each-alone_local_0.safetensors'
    """
    return f"{head.lower().replace(' ', '-')}_{task}_{seed}.safetensors"


_WEIGHTS = files("convlab") / "weights"
