"""ivfuse: infrared and visible image fusion."""
