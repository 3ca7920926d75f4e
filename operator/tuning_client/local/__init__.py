"""`tuning run`: a study on this machine, with processes in the place of pods."""
