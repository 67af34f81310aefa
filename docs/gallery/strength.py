"""# Strength and gamma

`strength` goes from the visible image (0) to the full fusion (1). `ir_gamma` below 1 brightens the thermal
image first, so that what is barely warmer than its surroundings stands out.
"""

from ivfuse import fuse
from ivfuse.cli.demo import side_by_side
from ivfuse.image.write import write_image
from ivfuse.synthetic.street import street_scene

scene = street_scene(300, 400, seed=2, time="night")
strengths = [(f"strength {x:g}", fuse(scene.ir, scene.vi, strength=x)) for x in (0.0, 0.5, 1.0)]
write_image("1-strength.jpg", side_by_side(strengths))
gammas = [(f"gamma {x:g}", fuse(scene.ir, scene.vi, ir_gamma=x)) for x in (1.0, 0.6, 0.4)]
write_image("2-gamma.jpg", side_by_side(gammas))
