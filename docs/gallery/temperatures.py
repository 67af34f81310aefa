"""# Temperatures

Counts of 1/100 kelvin, as many cameras write them, become degrees by a scale. The fused image keeps the
colors of the visible one, takes a colormap, or shows in color only what is warmer than 22 degrees.
"""

import cv2
import numpy as np

from ivfuse import Fuser, RenderOptions, ThermalOptions
from ivfuse.cli.demo import side_by_side
from ivfuse.image.read import read_visible
from ivfuse.image.write import write_image
from ivfuse.synthetic.street import street_scene
from ivfuse.thermal.units import parse_span

scene = street_scene(360, 480, seed=0, time="night")
kelvin = scene.ir * 34 + 2 + 273.15
cv2.imwrite("counts.png", np.rint(kelvin * 100).astype(np.uint16))
write_image("visible.png", scene.vi)

panels = []
for label, render in {
    "fused": None,
    "--colormap iron": RenderOptions(colormap="iron"),
    '--highlight ">22C"': RenderOptions(highlight=parse_span(">22C", "highlight", open_ends=True)),
}.items():
    fuser = Fuser("swift", thermal=ThermalOptions(scale="0.01K"), render=render)
    fuser.fuse_files("counts.png", "visible.png", "fused.png")
    panels.append((label, read_visible("fused.png").pixels))
write_image("temperatures.jpg", side_by_side(panels))
