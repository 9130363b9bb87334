"""The trained part: fusion module, conditioning head and decoder, built from a TrialConfig."""
