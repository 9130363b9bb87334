"""The frozen encoders: Qwen2.5-VL (what and when) and DINOv2 (where), real and toy size by the same code."""
