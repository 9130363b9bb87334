"""What the command leaves behind: exit code, files, and a page that stands alone."""

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
from odd_logs import LAYERS
from study_writer import CLAIM, FACTORS, SCALE_NOTE, space

import analysis
from analysis.figure_effects import plot_effects
from analysis.figure_style import draw
from analysis.figures import draw_figures
from analysis.report import arm_name, breakable, keep_units, render_report
from foresight.space import Factor
from foresight.train.stream_maps import CAPTION

FIGURES = {
    "effects", "tradeoff", "learning_curves", "factor_fusion_strategy", "factor_fusion_layers", "factor_output_queries",
    "factor_vlm_layer", "factor_dinov2_size", "factor_vlm_weight", "per_image", "scaling", "calibration",
}  # fmt: skip

TABLES = {
    "ablation_table",
    "breakdown",
    "calibration",
    "cost",
    "coverage",
    "fronts",
    "image_extremes",
    "importance",
    "param_efficiency",
    "pareto_front",
    "per_image",
    "replicates",
    "scaling",
    "simplification",
    "verdicts",
}


class Page(HTMLParser):
    """Every address, image text and script of a page, and whether its tags are balanced."""

    def __init__(self, html: str):
        super().__init__()
        self.addresses: list[str] = []
        self.alts: list[str] = []
        self.scripts: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.addresses += [found[name] for name in ("src", "href", "xlink:href", "srcset", "action") if name in found]
        if tag == "img":
            self.alts.append(found.get("alt") or "")
        if tag == "svg":
            self.alts.append(found.get("aria-label") or "")
        if tag == "script":
            self.scripts.append(found)
        if tag not in ("meta", "img", "br", "wbr", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_gate_is_closed_by_the_metric_that_was_not_measured(reported):
    assert reported.exit_code == 3
    assert "gate closed: lpips was not measured" in reported.output


def test_the_page_says_why_the_gate_is_closed(reported):
    gate = reported.html.split('<h2 id="gate">')[1].split("<h2")[0]
    said = [
        line.removeprefix("gate closed: ") for line in reported.output.splitlines() if line.startswith("gate closed")
    ]
    assert f"Closed, for {len(said)} reasons" in gate
    assert gate.count("<li>") == len(said) >= 3
    assert "Toy scale: opens no gate" in gate


def test_the_page_names_the_confidence_of_criteria(write_study):
    study = analysis.load(write_study(claim=replace(CLAIM, alpha=0.2), space=LAYERS))
    page = render_report(study, [])
    assert "met if its whole 80\N{NO-BREAK SPACE}% interval" in page.replace("&nbsp;", "\N{NO-BREAK SPACE}")


def test_last_line_is_the_path_of_the_report(reported):
    lines = [line for line in reported.output.splitlines() if not line.startswith("gate closed")]
    assert Path(lines[-1]) == reported.folder / "report.html"
    assert max(map(len, lines[:-1])) <= 80
    assert "none: 4 of 5, 1 failed" in reported.output
    assert "…" not in reported.output  # nothing of the table is cut off


def test_files(reported):
    names = {path.name for path in reported.folder.iterdir()}
    tables = {f"{name}.csv" for name in TABLES}
    assert names == tables | {"figures", "report.html", "results.yaml", "FINDINGS.md"}
    for suffix in ("png", "svg"):
        assert {path.stem for path in (reported.folder / "figures").glob(f"*.{suffix}")} == FIGURES


def test_page_needs_nothing_else(reported):
    page = Page(reported.html)
    assert page.open == []
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in page.addresses)
    assert page.scripts == [{}]
    assert not re.search(r"url\((?!#)|@import", reported.html)
    assert len(page.alts) == len(FIGURES) + 15
    assert all(page.alts)


def test_first_line_is_the_scale_note(reported):
    body = reported.html.split("<body>")[1].strip()
    assert body.startswith('<p class="scale-note" role="note">' + SCALE_NOTE)


def test_sentences_on_the_page_are_those_of_the_csv(reported):
    verdicts = pd.read_csv(reported.folder / "verdicts.csv")
    table = pd.read_csv(reported.folder / "ablation_table.csv")
    assert len(verdicts) == 2 + 14
    for _, row in verdicts.iterrows():
        # On the page a number and its unit stay on one line.
        assert f"<li>{row['sentence']}</li>" in reported.html.replace("\N{NO-BREAK SPACE}", " ")
    for _, row in verdicts[verdicts["kind"] == "arm"].iterrows():
        mine = table[(table["arm"] == row["name"]) & (table["role"] == "primary")].iloc[0]
        assert (mine["difference"], mine["difference_low"]) == (row["estimate"], row["low"])
        assert f"{abs(mine['difference']):.3f}" in row["sentence"]


def test_page_names_gaps_claim_and_trials(reported):
    assert "72 of 75 planned trials are complete (1 failed, 1 stopped, 1 missing)." in reported.html
    assert "Incomplete levels of VLM layer: 8 has 4 of 5 (1 missing)." in reported.html
    assert "steps 64 and 96 &lt;b&gt;" in reported.html  # a message is text, never markup
    study = analysis.load(reported.study)
    assert study.data.sweep["claim_hash"] in reported.html
    assert all(f"<code>{key}</code>" in reported.html for key in study.data.complete["key"])


def test_page_says_once_what_the_intervals_and_the_adjustment_cover(reported):
    scope = (
        "Intervals are over seeds (initial weights, data order, dropout), with one training set, one test set and one "
        "draw or checkpoint of each encoder; they do not speak of other images or encoders."
    )
    verdicts = reported.html.split(">Verdicts</h2>")[1].split("<h2")[0]
    assert scope in verdicts
    assert reported.html.count(scope) == 1
    assert "adjusted by Holm over all 14 arms of the study" in verdicts
    assert "no verdict (4 of 5 seeds, 1 failed)" in verdicts


def test_names_inside_the_figures_do_not_clash(reported):
    names = re.findall(r'\bid="([^"]+)"', reported.html)
    assert len(names) == len(set(names))


def test_same_numbers_give_the_same_figure(reported):
    study = analysis.load(reported.study)
    effects = draw("effects", "", "", plot_effects, study.data, study.verdicts())
    assert effects.svg == (reported.folder / "figures" / "effects.svg").read_text()


def test_page_of_a_bare_factorial_log(write_study):
    """One seed, no latency, no scale note, no curves, no examples, arms that differ in two factors."""
    path = write_study(
        space=space(FACTORS[1:3], "factorial"),
        n_seeds=1,
        with_latency=False,
        sweep={"question": "", "scale_note": ""},
    )
    study = analysis.load(path)
    drawings = draw_figures(study)
    html = render_report(study, drawings)
    assert {drawing.stem for drawing in drawings} == {
        "factor_fusion_layers", "factor_output_queries", "tradeoff", "calibration",
    }  # fmt: skip
    assert html.split("<body>")[1].split()[:1] == ["<header>"]
    assert "<h3>Examples</h3>" not in html
    ablation_table = html.split(">Other metrics</h2>")[0].split("<tbody>")[-1]
    assert "[" not in ablation_table  # one seed, no interval


def test_analysis_starts_without_torch_ray_and_figures():
    slow = {"torch", "ray", "matplotlib", "scipy.stats"}
    code = f"import sys, analysis.__main__; print({slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_number_stands_on_one_line_with_its_unit(reported):
    body = reported.html.split("<main>")[1].split("</main>")[0]
    assert "95\u00a0% interval" in body
    assert re.search(r">[^<>]*\d %", body) is None
    assert keep_units('<p class="w 5 h">0.3 % of 20 k in 3 s, 5 seeds</p>') == (
        '<p class="w 5 h">0.3\u00a0% of 20\u00a0k in 3\u00a0s, 5 seeds</p>'
    )


def test_the_test_of_the_verdicts_is_named_with_its_capitals(reported):
    assert "Moderated paired t test (" in reported.html or "Moderated paired t and paired t tests (" in reported.html


def test_a_name_ends_a_line_between_its_parts_and_never_inside_a_number():
    assert arm_name("fusion.vlm_weight=0.3,a<b=1.5") == "fusion.<wbr>vlm_weight=<wbr>0.3,<wbr>a&lt;b=<wbr>1.5"
    assert breakable("param_efficiency/v1") == "param_<wbr>efficiency/<wbr>v1"
    assert breakable("at 1.1 of each range_") == "at 1.1 of each range_"


def test_many_arms_fold_and_a_factor_without_a_point_has_no_figure(write_study):
    factors = (
        Factor("layers", "fusion.layers", tuple(range(1, 9))),
        Factor("queries", "fusion.queries", (16, 17, 18, 19, 20, 21, 22, 23, 64)),
    )
    partly = write_study(
        space=space(factors, design="factorial"), n_seeds=1, with_latency=False,
        change_row=lambda trial, row: row if trial.arm.name == "baseline" else None,
    )  # fmt: skip
    page = render_report(analysis.load(partly), draw_figures(analysis.load(partly)))
    assert page.count('<details class="fold"><summary>All 72 arms</summary>') == 3
    assert "figure-factor_" not in page
    assert 'id="effects"' not in page


def test_the_commit_stands_once_where_planned_and_run_at_one_and_twice_where_not(write_study):
    for ran_at, n_planned in (("028f876", 0), ("04c016c", 1)):
        change = {"env/git_commit": ran_at}
        path = write_study(f"runs_{n_planned}", n_seeds=1, change_row=lambda trial, row, change=change: row | change)
        page = render_report(analysis.load(path), [])
        environment = page.split('<h2 id="environment">')[1]
        assert f"<dt>git_commit</dt><dd>{ran_at}</dd>" in environment
        assert environment.count("<dt>planned at git_commit</dt><dd><code>028f876</code></dd>") == n_planned
        assert environment.count("028f876") == 1


def test_one_colour_has_one_spelling_on_the_page(reported):
    assert "vermilion" not in reported.html + CAPTION
