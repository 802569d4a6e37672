"""Many recordings at once: on local processes, or on a Dask cluster.

Names load on first use, as those of `bss` do, so that workers set their threads before NumPy is loaded.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
