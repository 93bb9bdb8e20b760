"""Korean as such: speech levels and word analysis. Knows no game."""
