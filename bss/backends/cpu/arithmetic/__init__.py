"""What kernels are made of: algebra of small matrices, tiles of products, logarithms, prefetching."""
