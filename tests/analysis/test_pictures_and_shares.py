"""What trials drew and which stream they took it from, on the page."""

import io

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from study_writer import FACTORS, space

import analysis
from analysis.kept_pictures import read_caption
from analysis.pictures import MOST_PICTURES, read_pictures
from analysis.report import render_report
from foresight.metrics import SHARES
from foresight.storage.local import atomic_write_bytes


def png(caption: str = "") -> bytes:
    about, buffer = PngInfo(), io.BytesIO()
    if caption:
        about.add_text("Caption", caption)
    Image.new("RGB", (4, 4)).save(buffer, "PNG", pnginfo=about)
    return buffer.getvalue()


def with_shares(trial, row):
    """Both streams' arms record an influence, the first arm an attention as well."""
    if trial.arm.name == "fusion.layers=8":
        return row
    row |= {"share/vlm_influence_object": 0.2 + 0.01 * trial.seed, "share/vlm_influence_background": 0.5}
    return row | ({"share/vlm_attention_object": 0.25} if trial.arm.name == "baseline" else {})


@pytest.fixture
def study(write_study):
    """Four arms, two seeds; every trial has an `attention`, and those of seed 1 have nothing else of ours."""
    path = write_study(space=space(FACTORS[1:2]), n_seeds=2, change_row=with_shares, with_details=True)
    loaded = analysis.load(path)
    for key, seed in zip(loaded.data.complete["key"], loaded.data.complete["seed"], strict=True):
        atomic_write_bytes(path / "trials" / key / "attention.png", png(f"Rows of seed {seed} <b>."))
    return analysis.load(path)


def test_every_picture_of_the_first_seed_is_found_with_the_caption_it_carries(study):
    examples, attention = read_pictures(study.data)
    assert (examples.name, examples.caption, attention.name) == ("examples", "", "attention")
    assert attention.caption == "Rows of seed 0 <b>."
    for group in (examples, attention):
        assert [picture.arm for picture in group.pictures] == study.data.arms
        assert group.seed == 0


def test_the_page_shows_each_group_and_its_caption_as_text(study):
    html = render_report(study, [])
    assert html.index("<h3>Examples</h3>") < html.index("<h3>Attention</h3>")
    assert "seed 0. Rows of seed 0 &lt;b&gt;." in html
    assert html.count("data:image/png;base64,") == 8


def test_a_picture_without_a_caption_has_none():
    assert read_caption(png()) == ""
    assert read_caption(png("Rows: a.")) == "Rows: a."
    assert MOST_PICTURES >= 15  # all arms of E-P2.5


def test_shares_are_means_over_seeds_of_the_arms_that_recorded_them(study):
    shares = study.shares()
    assert set(shares["arm"]) == {"baseline", "fusion.layers=2", "fusion.layers=6"}
    row = shares[(shares["arm"] == "baseline") & (shares["share"] == "vlm_influence_object")].iloc[0]
    assert (row["n_seeds"], row["mean"]) == (2, pytest.approx(0.205))
    assert row["low"] < 0.2 < 0.21 < row["high"]
    assert list(shares[shares["arm"] == "baseline"]["share"]) == list(SHARES)[:3]


def test_the_page_explains_the_shares_that_there_are_and_no_others(study):
    section = render_report(study, []).split(">Streams</h2>")[1].split("<h2")[0]
    assert "neither is better" in section
    assert SHARES["vlm_influence_object"].label in section
    assert SHARES["vlm_attention_background"].label not in section
    assert "0.205" in section
    assert section.count("<tr><td>") == 3


def test_without_shares_there_is_no_section(complete_study):
    assert complete_study.shares().empty
    assert ">Streams</h2>" not in render_report(complete_study, [])


def test_sentences_name_what_the_test_rows_are(write_study):
    path = write_study(
        space=space(FACTORS[1:2]), n_seeds=5, change_row=lambda trial, row: row | {"data/items": "timed repeats"}
    )
    study = analysis.load(path)
    assert study.data.items == "timed repeats"
    assert all("200 timed repeats" in sentence for sentence in study.verdicts()["sentence"] if "paired" in sentence)
    html = render_report(study, [])
    assert "200 timed repeats" in html
    assert "200 test images" not in html
