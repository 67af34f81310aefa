"""Fusion methods that need no training: functions ``(ir, vi, **options) -> fused`` on luma planes."""
