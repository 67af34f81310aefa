"""# Targets, seen and lost

The warm targets that `ivfuse eval` finds in the thermal image of a street by night, outlined in the visible
and in the fused image: green is seen, red cannot be told from its surroundings, yellow lies between. [How
they are found and measured](/metrics.md#targets).
"""

import cv2

from ivfuse import fuse
from ivfuse.cli.demo import side_by_side
from ivfuse.image.color import luma
from ivfuse.image.write import write_image
from ivfuse.metrics.targets import find_targets, measure_targets
from ivfuse.synthetic.street import street_scene

scene = street_scene(480, 640, seed=5, time="night")
found = find_targets(scene.ir * 255.0)
panels = []
for name, image in (("visible", scene.vi), ("fused (swift)", fuse(scene.ir, scene.vi))):
    picture = image.copy()
    contrasts = measure_targets(found, luma(scene.vi) * 255.0, luma(image) * 255.0)
    for target, contrast in zip(found.targets, contrasts, strict=True):
        color = (1, 0.2, 0.1) if contrast.lost else (0.2, 0.9, 0.3) if contrast.seen else (1, 0.85, 0.2)
        left, top, width, height = target.box
        cv2.rectangle(picture, (left - 4, top - 4), (left + width + 4, top + height + 4), color, 2)
    panels.append((name, picture))
write_image("targets.jpg", side_by_side(panels))
