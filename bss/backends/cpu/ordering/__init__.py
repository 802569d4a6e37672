"""One order of the sources in all bins: compiled searches."""
