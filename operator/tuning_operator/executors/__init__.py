"""What runs a round's trials. One package for each kind; the plan knows them all by the values of `view` alone."""
