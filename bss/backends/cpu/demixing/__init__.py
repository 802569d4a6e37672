"""One iteration of a solver that learns a demixing."""
