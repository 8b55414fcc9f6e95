"""Corpus, training and export of the fieldpress model packages."""
