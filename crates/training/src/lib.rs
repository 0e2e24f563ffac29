//! Fitting heads from labelled texts: data sets, optimisation, calibration, held-out figures, cards.
