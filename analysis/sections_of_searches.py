"""The sections about what a search proposed. Part of SECTIONS; a declared design has none of them."""

from analysis import Study
from analysis.proposals import describe_proposals
from analysis.search_importance import describe_search_importance
from analysis.section import Section

SEARCH_SECTIONS = (
    Section(
        "proposals",
        "What the search proposed",
        Study.proposals,
        {
            "arm": "Proposal",
            "state": "State",
            "n_seeds": "Seeds",
            "epochs_run": "Epochs",
            "value": "Validation",
            "further": "Further objectives",
            "on_front": "On the front",
            "change": "Differs from the baseline by",
        },
        describe_proposals,
    ),
    Section(
        "search_importance",
        "What mattered to the search",
        Study.search_importance,
        {"method": "Method", "field": "Field", "n_proposals": "Proposals", "importance": "Share"},
        describe_search_importance,
    ),
)
