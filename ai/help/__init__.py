"""The help pages: docs/ of this very version, as pages for people and in sections for whoever answers questions."""
