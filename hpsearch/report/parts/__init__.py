"""The sections, a module for those that belong together: their words, charts and tables."""
