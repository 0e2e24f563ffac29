//! Segmentations of real and awkward texts.
