"""Independent component analysis with scikit-learn's interface. Needs the extra `sklearn`."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
