"""The page about runs: it is whole, stands by itself, and a browser shows it."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from rich.console import Console

from podmeta.cli import main
from podmeta.config.compose import compose_job
from podmeta.config.suites import experiment_suite
from podmeta.evaluation.report.page import write_report
from podmeta.evaluation.report.record import SHARES
from podmeta.evaluation.run import evaluate_run
from podmeta.training.loop import train

TINY = [
    "outer.population_size=8",
    "outer.lifetimes_per_member=1",
    "environment.lifetime_length=6",
    "learner.hidden_size=3",
    "learner.message_size=2",
    "logging.every_updates=1",
    "logging.tensorboard=false",
    "logging.progress=false",
    "evaluation.num_tasks=4",
    "num_updates=3",
]
VOID = {"meta", "link", "img", "br"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run on bandits that was meta-tested, and one on the grid-world, of two instances, that was not."""
    folder = tmp_path_factory.mktemp("runs")
    job = compose_job([*TINY, f"run_dir={folder / 'bandits'}", "experiment_name='a<b'"])
    result = train(job, lambda line: None)
    evaluate_run(job, experiment_suite(job), result.meta_params, result.update, result.run_path, Console(quiet=True))
    grid = [*TINY, "environment=grid_world", "architecture.num_instances=2", f"run_dir={folder / 'grid'}"]
    train(compose_job(grid), lambda line: None)
    return [folder / "bandits", folder / "grid"]


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(runs, path)
    return path


@pytest.mark.long
def test_every_figure_is_there_and_says_what_it_shows(page):
    text = page.read_text(encoding="utf-8")
    # Fitness by update and by time, throughput, the matrix, one curve, two lifetimes.
    assert text.count("<svg") == text.count("</svg>") == 7
    assert text.count("data:image/gif;base64,") == 1
    for words in (
        "update of θ",
        "training time (s)",
        "thousand env steps/s",
        "env step of the lifetime",
        "n = 4",
        "n = 2",
    ):
        assert words in text
    assert "Not meta-tested: grid" in text
    for algorithm in ("learner", "random", "thompson", "ucb1", "gittins"):
        assert f"<td>{algorithm}</td>" in text
    assert '<th colspan="10">1. experiment: bandit, ' in text
    assert '<td class="number">4</td>' in text  # tasks


def test_it_is_well_formed_and_what_runs_are_called_stays_text(page):
    open_tags = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag not in VOID:
                open_tags.append(tag)

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Checker().feed(page.read_text(encoding="utf-8"))
    assert open_tags == []
    assert "<td>a&lt;b</td>" in page.read_text(encoding="utf-8")


def test_ids_are_unique_and_references_stay_inside(page):
    text = page.read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', text)
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
    assert used and set(used) <= set(ids)
    clip_paths = [identifier for identifier in used if ids.count(identifier) > 1]
    assert clip_paths == []
    # Namespaces are names, not addresses that anything is fetched from.
    outside = re.sub(r'xmlns(:\w+)?="[^"]+"', "", text)
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', outside)
    assert "<script" not in text and "@import" not in text


def run_browser(folder, page):
    """Chromium's output for a page: its elements, once it has been loaded."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}", "--enable-logging=stderr"]
    return subprocess.run(
        [browser, *flags, "--dump-dom", page.as_uri()], capture_output=True, encoding="utf-8", timeout=300
    )


def test_a_browser_opens_it_from_disk_without_a_complaint(page, tmp_path):
    done = run_browser(tmp_path, page)
    assert done.stdout.count("<svg") == 7
    assert "CONSOLE" not in done.stderr


LOOK = """
const problems = [];
function look(page, width, theme) {
  const style = element => page.defaultView.getComputedStyle(element);
  const box = element => element.getBoundingClientRect();
  const note = (what, element) => problems.push(`${width} px, ${theme}: ${what}: ${element.textContent.slice(0, 60)}`);
  page.querySelectorAll("details").forEach(each => each.open = true);
  if (page.documentElement.scrollWidth > width) note("wider than the window", page.body);
  for (const element of page.body.querySelectorAll("*")) {
    const figure = element.closest("svg");
    if (figure !== null) {
      if (element.tagName !== "text") continue;
      const [inner, outer] = [box(element), box(figure)];
      const outside = Math.max(outer.left - inner.left, outer.top - inner.top,
                               inner.right - outer.right, inner.bottom - outer.bottom);
      if (outside > 1) note(`${outside} px outside its figure`, element);
      if (inner.height < 8) note(`${inner.height} px high`, element);
      continue;
    }
    let holder = element;
    while (holder !== page.body && !["auto", "scroll"].includes(style(holder).overflowX)) holder = holder.parentElement;
    if (holder !== page.body) continue;  // the reader can scroll there
    if (element.clientWidth > 0 && element.scrollWidth > element.clientWidth) note("clipped", element);
    if (box(element).right > width + 1) note("outside the window", element);
  }
  const brightness = colour => colour.match(/\\d+/g).slice(0, 3).reduce((sum, each) => sum + Number(each), 0) / 765;
  const contrast = brightness(style(page.body).color) - brightness(style(page.body).backgroundColor);
  if (theme === "dark" ? contrast < 0.5 : contrast > -0.5) note(`contrast ${contrast}`, page.body);
}
const frames = [];
for (const width of [360, 480, 768, 1280, 1920]) {
  for (const theme of ["light", "dark"]) {
    const frame = document.createElement("iframe");
    frame.style = `width: ${width}px; height: 800px; border: 0; color-scheme: ${theme}`;
    frame.srcdoc = content;
    document.body.append(frame);
    frames.push(() => look(frame.contentDocument, width, theme));
  }
}
addEventListener("load", () => {
  frames.forEach(each => each());
  document.body.innerHTML = "<pre></pre>";
  document.querySelector("pre").textContent = JSON.stringify([frames.length, ...problems]);
});
"""
"""Shows a page in frames of several widths, in both themes, and writes down what a reader could not see."""

LONG = "symmetric_learner_with_backward_messages_and_a_name_that_is_as_long_as_names_of_sweeps_become"


def what_a_reader_cannot_see(page, folder):
    """What Chromium clips of a page or shows too small, by width and theme."""
    content = json.dumps(page.read_text(encoding="utf-8")).replace("</", "<\\/")
    frames = folder / "frames.html"
    frames.write_text(
        f'<!doctype html><meta charset="utf-8"><body><script>const content = {content};{LOOK}</script></body>',
        encoding="utf-8",
    )
    shown = run_browser(folder, frames).stdout
    found = re.search("<pre>(.*)</pre>", shown, re.DOTALL)
    assert found, shown[-500:]
    num_frames, *problems = json.loads(html.unescape(found[1]))
    assert num_frames == 10
    return problems


@pytest.fixture(scope="module")
def wide_page(runs, tmp_path_factory):
    """A page of several seeds with long names, more settings than one, shares of time, and a grid-world."""
    folder = tmp_path_factory.mktemp("wide")
    paths = [folder / f"{LONG}_{seed}" for seed in range(3)]
    for seed, path in enumerate(paths):
        shutil.copytree(runs[0], path)
        config = (path / "config.yaml").read_text(encoding="utf-8")
        (path / "config.yaml").write_text(config.replace("\nseed: 0\n", f"\nseed: {seed}\n"), encoding="utf-8")
        for name, further in (
            ("metrics.jsonl", lambda row: row | dict.fromkeys(SHARES, 0.25)),
            ("evaluation.jsonl", lambda row: row | {"suite": LONG}),
            ("learning_curves.jsonl", lambda row: row | {"suite": LONG}),
        ):
            rows = [json.loads(line) for line in (path / name).read_text(encoding="utf-8").splitlines()]
            kept = [] if name == "metrics.jsonl" else rows
            lines = [json.dumps(row) + "\n" for row in (*kept, *map(further, rows))]
            (path / name).write_text("".join(lines), encoding="utf-8")
    paths.append(shutil.copytree(runs[1], folder / f"grid_{LONG}_0"))
    write_report(paths, folder / "report.html")
    return folder / "report.html"


@pytest.mark.long
def test_nothing_is_clipped_on_narrow_and_wide_windows_in_both_themes(wide_page, tmp_path):
    text = wide_page.read_text(encoding="utf-8")
    assert "(n = 3)" in text and "data:image/gif" in text and "share of time" in text
    assert what_a_reader_cannot_see(wide_page, tmp_path) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (("overflow-x: auto", "overflow-x: visible"), "wider than the window"),
        (("max-width: 100%", "max-width: none"), "wider than the window"),
        (("prefers-color-scheme: dark", "prefers-color-scheme: none"), "contrast"),
        (('<text style="', '<text dx="-4000" style="'), "outside its figure"),
    ],
)
def test_what_is_clipped_would_be_found(wide_page, tmp_path, damage, problem):
    page = tmp_path / "page.html"
    page.write_text(wide_page.read_text(encoding="utf-8").replace(*damage), encoding="utf-8")
    assert [each for each in what_a_reader_cannot_see(page, tmp_path) if problem in each]


def test_equal_runs_make_equal_pages(runs, page, tmp_path):
    write_report(runs, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda run: (run / "config.yaml").unlink(), "config.yaml: No such file"),
        (lambda run: shutil.rmtree(run / "checkpoints"), "holds no checkpoint"),
        (
            lambda run: (run / "metrics.jsonl").write_text('{"update": 1}\n', encoding="utf-8"),
            "metrics.jsonl:1 is damaged: env_steps is missing",
        ),
        (
            lambda run: (run / "evaluation.jsonl").write_text("{}\n", encoding="utf-8"),
            "evaluation.jsonl:1 is damaged: suite is missing",
        ),
        (lambda run: (run / "config.yaml").write_text("learner: {}", encoding="utf-8"), "is not the config of a run"),
        (lambda run: (run / "environment.json").write_text("{", encoding="utf-8"), "environment.json:1 is damaged"),
    ],
)
def test_a_run_that_is_none_is_told(damage, part, runs, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    damage(run)
    assert main(["report", str(run), f"to={tmp_path / 'report.html'}"]) == 2
    assert part in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "report.html").exists()


@pytest.mark.long
@pytest.mark.parametrize("name", ["_hidden", "$x^$", "[red]"])
def test_every_run_is_in_the_legend_by_its_name(runs, tmp_path, name):
    run = shutil.copytree(runs[1], tmp_path / name)
    write_report([run], tmp_path / "report.html")
    assert f">{name} (n = 2)</text>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_runs_of_one_name_are_told_apart(runs, tmp_path):
    for parent in ("one", "two"):
        shutil.copytree(runs[0], tmp_path / parent / "run")
    write_report([tmp_path / "one" / "run", tmp_path / "two" / "run"], tmp_path / "report.html")
    assert "<td>one/run</td>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_run_on_sebulba_shows_where_its_time_went(runs, page, tmp_path):
    assert "share of time" not in page.read_text(encoding="utf-8")
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    told = [row | dict.fromkeys(SHARES, 0.25) for row in rows]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told), encoding="utf-8")
    write_report([run], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(name in text for name in ("share of time (%)", *SHARES.values()))


def test_a_run_under_way_is_shown_as_far_as_it_is(runs, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    (run / "summary.json").unlink()
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 3
    write_report([run], tmp_path / "report.html")
    assert "<td>unfinished at update 3</td>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_every_row_says_which_meta_params_it_is_about_and_those_of_others_are_left_out(runs, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    digest = json.loads((run / "summary.json").read_text(encoding="utf-8"))["meta_params_sha256"]
    for name in ("evaluation.jsonl", "learning_curves.jsonl"):
        rows = [json.loads(line) for line in (run / name).read_text(encoding="utf-8").splitlines()]
        assert {(row["update"], row["meta_params_sha256"]) for row in rows} == {(3, digest)}
        older = [row | {"update": 1, "meta_params_sha256": "older"} for row in rows]
        (run / name).write_text("".join(json.dumps(row) + "\n" for row in older), encoding="utf-8")
    notes = write_report([run], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(notes) == 2 and all("of update 1 and the run holds the θ of update 3" in note for note in notes)
    assert "Not meta-tested: run" in text and "of update 1 and the run holds" in text
    assert "<td>gittins</td>" not in text


def test_the_page_takes_the_readers_theme(page):
    text = page.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    figures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert all("currentColor" in figure and "#123456" not in figure for figure in figures)
    # No line is black and no background white, which one of the two themes would hide.
    assert not [figure for figure in figures if re.search(r"<path[^>]*(fill: #ffffff|stroke: #000000)", figure)]
