"""Objects that a frozen detector finds in fused images, on clean pairs and in weather: prints Markdown.

``python benchmarks/tasks.py --data ../shared/data -o runs/tasks``: labeled pairs below DATA, their boxes in
DATA/labels, the detector in DATA/detectors. What was fused before is not fused again.
"""

from __future__ import annotations

from pathlib import Path

from common import make_parser
from ivfuse.benchmark.plan import make_plan
from ivfuse.benchmark.run import run
from ivfuse.benchmark.tasks.detection import DetectionTask, measure_detection
from ivfuse.benchmark.tasks.labels import read_labels
from ivfuse.benchmark.tasks.tables import detection_table, markdown, write_tasks

LABELS = {"roadscene/train": "roadscene_train", "roadscene/val": "roadscene_val", "m3fd": "m3fd"}
WEATHER = ("none", "haze:3", "snow:3", "rain:3")
LOWEST = 12  # pixels; lower boxes are known to be drawn loosely


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of fused images and tables")
    parser.add_argument("--sets", nargs="+", default=["roadscene/val", "m3fd"], choices=[*LABELS])
    parser.add_argument("--methods", default="all")
    parser.add_argument("--degrade", nargs="+", default=list(WEATHER))
    parser.add_argument("--detector", type=Path, help="an ONNX file; else the one below DATA")
    parser.add_argument("--classes", default="person,car", help="that have enough boxes to be averaged")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    plan = make_plan(
        [options.data / name for name in options.sets],
        options.out,
        options.methods,
        metrics="EN",
        degrade=options.degrade,
    )
    run(plan, options.jobs)
    labels = tuple(
        read_labels(options.data / "labels" / f"{LABELS[name]}.json")
        for name in options.sets
        for _ in options.degrade
    )
    detector = options.detector or options.data / "detectors" / "FastestDet.onnx"
    task = DetectionTask(labels, detector, ignore_below=LOWEST, only=tuple(options.classes.split(",")))
    boards = measure_detection(plan, task, options.jobs)
    write_tasks(boards, [], options.out)
    for board in boards:
        print(markdown(detection_table(board)))


if __name__ == "__main__":
    main()
