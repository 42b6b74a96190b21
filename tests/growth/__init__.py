"""How much work the public entries do as their input grows."""
