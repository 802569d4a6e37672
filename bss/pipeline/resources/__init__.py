"""What a separation takes and where it computes: memory, time, devices, compiled kernels."""
