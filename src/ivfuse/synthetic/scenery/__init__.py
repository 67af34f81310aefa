"""The parts of the procedural street: canvas and camera, setting, buildings, cars, people, sensors."""
