"""Classical fusion methods: functions ``(ir, vi, **options) -> fused`` on luma images."""
