"""# Weather

Haze, snow and rain over the visible image of a street by day, and the fused image. The synthetic thermal
camera sees through them; a real one sees through smoke and thin haze, and less through dense fog.
`ivfuse benchmark --degrade haze:3` measures methods on your own pairs.
"""

from ivfuse import Fuser
from ivfuse.cli.demo import side_by_side
from ivfuse.image.write import write_image
from ivfuse.synthetic.degrade import degrade
from ivfuse.synthetic.street import street_scene

scene = street_scene(360, 480, seed=4, time="day")
fuser = Fuser("swift")
for number, kind in enumerate(("haze", "snow", "rain"), 1):
    ir, vi = degrade(scene.ir, scene.vi, kind, strength=4)
    write_image(f"{number}-{kind}.jpg", side_by_side([(kind, vi), ("fused (swift)", fuser.fuse(ir, vi))]))
