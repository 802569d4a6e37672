"""What the estimators take of scikit-learn, which is optional: an import without it says which extra to install."""

from __future__ import annotations

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils import check_array, check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    # an ImportError, as is usual of imports, and not BssError: `try: from bss.estimators import FastICA` is to work as it does
    # for any optional package
    raise ImportError(
        "bss.estimators needs scikit-learn 1.6 or newer. Try: pip install 'bss-toolkit[sklearn]'", name=error.name
    ) from error

__all__ = [
    "BaseEstimator",
    "ClassNamePrefixFeaturesOutMixin",
    "ConvergenceWarning",
    "TransformerMixin",
    "check_array",
    "check_is_fitted",
    "check_random_state",
    "validate_data",
]
