"""# Four methods

A street by night. The average has half of every contrast. The Laplacian pyramid keeps edges and noise alike.
The guided filter is close to the visible image and shows people faintly. `swift`, the default, lifts what is
warm and keeps the tones of the rest.
"""

from ivfuse import fuse
from ivfuse.cli.demo import side_by_side
from ivfuse.image.write import write_image
from ivfuse.synthetic.street import street_scene

scene = street_scene(360, 480, seed=0, time="night")
rows = {
    "1-sources": [("infrared", scene.ir), ("visible", scene.vi)],
    "2-classical": [(name, fuse(scene.ir, scene.vi, method=name)) for name in ("average", "laplacian")],
    "3-better": [(name, fuse(scene.ir, scene.vi, method=name)) for name in ("guided-filter", "swift")],
}
for name, panels in rows.items():
    write_image(f"{name}.jpg", side_by_side(panels))
