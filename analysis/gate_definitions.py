"""The gates of the Foresight plan as data: which experiments each needs, and which study measures each of them here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Experiment:
    """`study` is the one whose claim holds the experiment's criteria; empty where no study of this system measures it."""

    name: str
    question: str
    study: str = ""


@dataclass(frozen=True)
class GateDefinition:
    name: str
    description: str
    experiments: tuple[Experiment, ...]
    unlocks: str


GATES = (
    GateDefinition(
        "gate_1_reconstruction",
        "The hybrid's features carry enough to rebuild the picture.",
        (
            Experiment("Q1", "Can the VLM's and the decoder's spaces be aligned?"),
            # E-P2.4: one trained hybrid measured on everything, and no composite of several studies.
            Experiment("P2", "Does one trained hybrid meet every criterion?", "p2_end_to_end"),
        ),
        "phase 2",
    ),
    GateDefinition(
        "gate_2_bridging",
        "A small bridge does what a large one does, and does not harm the decoder's motion.",
        (
            # E2.4: both sizes by the chosen recipe on images that nothing was chosen by.
            Experiment("C2", "Does a bridge of 10M parameters match one of 100M?", "c2_validation"),
            Experiment("Q3", "Does conditioning keep the decoder coherent in time?"),
        ),
        "phase 3",
    ),
    GateDefinition(
        "gate_3_prediction",
        "What comes next can be predicted.",
        (Experiment("C3", "Can the VLM predict future latents?"),),
        "phase 4",
    ),
    GateDefinition(
        "gate_4_verification",
        "Predicted pixels help to tell right from wrong.",
        (Experiment("C4", "Does the quality of a prediction signal its correctness?"),),
        "final",
    ),
)
