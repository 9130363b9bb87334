"""The trained part: fusion module and conditioning head or adapter, and decoder, built from a TrialConfig."""
