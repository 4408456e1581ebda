"""The tests; a package, since one of the installed libraries has a package of this name."""
