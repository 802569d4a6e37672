"""bss: blind source separation of audio. Several microphones in, one clean track per talker out.

The public names are listed in `__init__.pyi` and load on first use, so that `import bss` costs next to nothing.
"""

import lazy_loader as _lazy

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
