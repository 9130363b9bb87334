"""Fusion module and conditioning head or adapter, and a decoder, trained or frozen, built from a TrialConfig."""
