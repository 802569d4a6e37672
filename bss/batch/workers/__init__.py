"""Where the items of a batch are worked on: processes of this machine, or a Dask cluster."""
