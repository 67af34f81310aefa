"""# Registration

A thermal camera with another field of view, slightly turned. Laid over the visible image as it is, everything
appears twice; after `register` both lie on each other. Where the thermal camera sees nothing, the visible
image stands alone, without a seam.
"""

import cv2
import numpy as np

from ivfuse import fuse, register
from ivfuse.cli.demo import side_by_side
from ivfuse.image.color import luma
from ivfuse.image.write import write_image
from ivfuse.registration.overlay import overlay
from ivfuse.synthetic.street import street_scene

scene = street_scene(480, 640, seed=1, time="night")
turned = cv2.getRotationMatrix2D((320, 240), 3, 1.25)
thermal = np.ascontiguousarray(cv2.warpAffine(scene.ir, turned, (640, 480))[40:440, 50:590])

rig = register(thermal, scene.vi)
write_image("1-overlay.jpg", overlay(thermal, luma(scene.vi), rig))
before, after = fuse(thermal, scene.vi), fuse(thermal, scene.vi, rig=rig)
write_image("2-fused.jpg", side_by_side([("as it is", before), ("registered", after)]))
