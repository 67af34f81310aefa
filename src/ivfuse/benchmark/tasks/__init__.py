"""What fused images are for: objects detected and pixels classified by models that stay as they are."""
