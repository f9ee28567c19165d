"""Each page of the dashboard in a real browser: what it says, that it moves, and that it comes back."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("chromium")


def until(page: Any, expression: str) -> None:
    """Until an expression holds in the page, whose policy lets nobody evaluate text in it."""
    end = time.monotonic() + 60
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


def text_of(page: Any, selector: str = "main") -> str:
    return str(page.inner_text(selector))


def test_the_overview_answers_where_since_when_why_and_when_done(page: Any, runs: dict[str, str]) -> None:
    page.goto("#/")
    page.get_by_role("link", name=re.compile(r"nap of sleeper.* on quick: running since")).wait_for()
    running = page.get_by_role("region", name="Running now").get_by_role("listitem").filter(has_text="nap of sleeper")
    running.get_by_text(re.compile(r"on quick since \d\d:\d\d:\d\d \(.*, done (in|within)|not known yet")).wait_for()
    running.get_by_text(re.compile("^where it was expected to finish first")).wait_for()
    waiting = page.get_by_role("region", name="Waiting")
    waiting.get_by_text("waits for a new node: it needs 1 CPU and 1 nvidia.com/gpu").first.wait_for()
    assert page.get_by_role("link", name=re.compile(r"Running runs")).inner_text().startswith("1")
    assert page.get_by_role("link", name=re.compile(r"Failed runs")).inner_text().startswith("1")
    page.get_by_text("fifo_greedy").wait_for()
    page.get_by_role("region", name="Runs").get_by_role("link", name=runs["failed"]).wait_for()


def test_a_run_shows_its_graph_with_loops_folded_and_a_task_beside_it(page: Any, runs: dict[str, str]) -> None:
    page.goto(f"#/runs/{runs['done']}")
    page.get_by_role("button", name="train: loop · 3 of 3 done").click()
    side = page.get_by_role("complementary", name=re.compile("Task train"))
    side.get_by_text(re.compile(r"train.0 ran on (quick|slow) for")).wait_for()
    side.get_by_label("Iteration").select_option("train.2")
    page.get_by_role("complementary", name="Task train.2").wait_for()
    assert f"{runs['done']}?task=train.2" in page.url
    page.get_by_role("button", name="load: succeeded", exact=False).press("Enter")
    page.get_by_role("complementary", name="Task load").wait_for()


def test_the_timeline_has_a_bar_per_task_and_a_lane_per_node(page: Any, runs: dict[str, str]) -> None:
    page.goto(f"#/runs/{runs['done']}/gantt")
    page.locator("[data-bar='train.1:1']").wait_for()
    assert page.locator("[data-bar]").count() == 4
    assert page.locator(".planned").count() == 4
    page.get_by_role("button", name="by node").click()
    page.locator("[data-lane='quick']").wait_for()
    assert set(page.eval_on_selector_all("[data-lane]", "all => all.map(one => one.dataset.lane)")) <= {"quick", "slow"}


def test_the_timeline_tells_queue_pull_and_transfer_apart_or_says_why_not(
    page: Any, server: Any, runs: dict[str, str]
) -> None:
    page.goto(f"#/runs/{runs['done']}/gantt")
    page.get_by_text("Inputs are read where they lie: nothing is transferred before a task runs.").wait_for()
    path = f"/api/v1/runs/{runs['done']}"
    found = server.http.get(path).json()
    attempt = next(task for task in found["tasks"] if task["key"] == "load")["attempts"][0]
    start = datetime.fromisoformat(attempt["started_at"])
    attempt["placed_at"] = (start - timedelta(seconds=3)).isoformat()
    attempt["scheduled_at"] = (start - timedelta(seconds=2)).isoformat()
    attempt["inputs_at"] = (start + timedelta(seconds=1)).isoformat()
    attempt["finished_at"] = (start + timedelta(seconds=4)).isoformat()
    page.route(f"**{path}", lambda route: route.fulfill(json=found))
    page.reload()
    page.get_by_text("inputs fetched").first.wait_for()
    bar = page.get_by_role("link", name=re.compile("^load on "))
    assert "queued 1.0 s, image pulled in 2.0 s, inputs fetched in 1.0 s, ran 4.0 s" in str(
        bar.get_attribute("aria-label")
    )
    lane = page.locator("[data-lane='load']")
    assert [lane.locator(f".b-{kind}").count() for kind in ("queue", "pull", "fetch")] == [1, 1, 1]
    assert page.get_by_text("Inputs are read where they lie").count() == 0


def test_logs_follow_a_running_task(page: Any, runs: dict[str, str]) -> None:
    page.goto(f"#/runs/{runs['running']}/logs")
    log = page.get_by_role("log")
    log.get_by_text("turn 0", exact=False).wait_for()
    before = len(log.inner_text())
    until(page, f"document.querySelector('.log').innerText.length > {before}")


def test_data_events_and_tasks_are_told(page: Any, runs: dict[str, str]) -> None:
    page.goto(f"#/runs/{runs['again']}/data")
    page.get_by_role("region", name="Parameters").get_by_text("4").wait_for()
    assert "accuracy" in text_of(page)
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("Model, ")).first.click()
    assert Path(download.value.path()).read_text() == "4"
    page.goto(f"#/runs/{runs['again']}/events")
    page.get_by_text("task started").first.wait_for()
    page.goto(f"#/runs/{runs['failed']}/tasks")
    page.get_by_text(re.compile(r"a failed on (quick|slow) after .*bad luck")).wait_for()


def test_the_decision_page_begins_with_the_sentence_and_shows_the_evidence(page: Any, runs: dict[str, str]) -> None:
    page.goto(f"#/runs/{runs['done']}/tasks/load")
    page.get_by_text(re.compile(r"^load ran on (quick|slow) for")).wait_for()
    rows = page.get_by_role("region", name="Candidates").get_by_role("row")
    assert rows.count() == 3
    assert "chosen" in rows.nth(1).inner_text()
    assert page.get_by_text("fifo_greedy version 1").is_visible()
    assert page.get_by_role("region", name="Predicted and actual").is_visible()
    page.goto(f"#/runs/{runs['waiting']}/tasks/nap")
    said = page.get_by_role("region", name="What each node says now")
    said.get_by_text("too little nvidia.com/gpu (asks 1, the node has 0)").first.wait_for()
    assert said.get_by_text("can be added").is_visible()


def test_several_remarks_are_folded_and_one_is_not(page: Any, server: Any, runs: dict[str, str]) -> None:
    path = f"/api/v1/runs/{runs['done']}/explain"
    found = server.http.get(path).json()
    found["warnings"] = [f"{task} asks for 8.0 GiB of memory" for task in ("load", "train (3 iterations)")]
    page.route(f"**{path}", lambda route: route.fulfill(json=found))
    page.goto(f"#/runs/{runs['done']}")
    page.get_by_text("2 remarks on what its tasks ask for").wait_for()
    assert not page.get_by_text("train (3 iterations) asks for").is_visible()
    page.get_by_text("2 remarks on what its tasks ask for").click()
    assert page.get_by_text("train (3 iterations) asks for 8.0 GiB of memory.").is_visible()
    found["warnings"] = found["warnings"][:1]
    page.reload()
    page.get_by_text("load asks for 8.0 GiB of memory.").wait_for()
    assert page.get_by_text("remarks on what").count() == 0


def test_a_list_leaves_out_columns_for_which_there_is_no_room(page: Any, runs: dict[str, str]) -> None:
    page.goto("#/runs")
    heads = page.get_by_role("table", name="Runs").get_by_role("columnheader")
    heads.filter(has_text="turnaround").wait_for()
    for address, kept in (("#/runs", {"compare", "run", "state"}), (f"#/runs/{runs['done']}/tasks", {"task", "state"})):
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto(address)
        until(page, "document.querySelector('.list.slim') !== null")
        until(page, "document.querySelector('.list').scrollWidth <= document.querySelector('.list').clientWidth")
        assert kept <= set(page.get_by_role("columnheader").all_text_contents())
    page.goto("#/runs")
    row = page.get_by_role("row").filter(has_text=runs["running"])
    row.get_by_text(re.compile("^in .*|not known yet")).wait_for()
    page.goto(f"#/runs/{runs['done']}/tasks?task=load")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("complementary", name="Task load").wait_for()
    until(page, "document.querySelector('.list').scrollWidth <= document.querySelector('.list').clientWidth")


def test_events_are_told_in_words(page: Any, runs: dict[str, str]) -> None:
    page.goto(f"#/runs/{runs['done']}/events")
    page.get_by_text("dispatched → running").wait_for()
    told = page.get_by_role("row").filter(has_text="task placed").first.inner_text()
    assert re.search(r"planned start at \d\d:\d\d:\d\d", told), told


def test_nodes_show_what_they_have_and_what_runs_there(page: Any, runs: dict[str, str]) -> None:
    page.goto("#/nodes")
    card = page.get_by_role("region", name="Node quick")
    card.get_by_role("link", name="nap").wait_for()
    assert "1 of 2" in card.inner_text()
    assert "can be added" in page.get_by_role("region", name="Node rented").inner_text()
    page.get_by_role("img", name=re.compile("Tasks at a time on each node")).wait_for()


def test_what_if_compares_a_change_with_how_it_is(page: Any, runs: dict[str, str]) -> None:
    page.goto(f"#/plan?run={runs['done']}")
    page.get_by_text(re.compile(r"churn would be done in .* with fifo_greedy")).wait_for()
    page.get_by_label("Strategy").select_option("random_random")
    page.get_by_label("One more node like").select_option("quick")
    page.get_by_role("button", name="Plan it").click()
    page.get_by_text(re.compile(r"with random_random, .*(without the change|sooner|later)")).wait_for()
    table = page.get_by_role("table").first
    assert "with the change" in table.inner_text()
    path = page.get_by_role("region", name="Critical path").get_by_role("listitem")
    assert re.search(r" on (quick|slow)", path.last.inner_text())
    page.get_by_text("when each task starts and ends").click()
    times = page.get_by_role("region", name="When each task starts and ends").get_by_role("row")
    assert re.search(r"(quick|slow).* s – .* s", times.filter(has_text="load").inner_text(), re.DOTALL)
    page.get_by_label("Without node").select_option("quick")
    page.get_by_role("button", name="Do not add quick").click()
    assert page.get_by_role("button", name="Keep quick").is_visible()


def test_the_list_of_runs_says_when_each_will_be_done(page: Any, server: Any, runs: dict[str, str]) -> None:
    page.goto("#/")
    now = datetime.fromtimestamp(page.evaluate("Date.now()") / 1000, UTC)

    def with_ends(route: Any) -> None:
        found = route.fetch().json()
        low, middle, high = ((now + timedelta(seconds=seconds)).isoformat() for seconds in (600, 660, 720))
        for one in found["runs"]:
            if one["id"] == runs["running"]:
                one["ends"] = {"p10": low, "p50": middle, "p90": high}
        route.fulfill(json=found)

    assert all("ends" in one for one in server.http.get("/api/v1/runs").json()["runs"])
    page.route(re.compile(r"/api/v1/runs\?"), with_ends)
    page.goto("#/runs")
    row = page.get_by_role("row").filter(has_text=runs["running"])
    row.get_by_text(re.compile(r"in \d+ min \d+ s – \d+ min \d+ s")).wait_for()
    assert "not known yet" in page.get_by_role("row").filter(has_text=runs["waiting"]).inner_text()
    assert "ago" in page.get_by_role("row").filter(has_text=runs["done"]).inner_text()


def test_schedules_are_listed_and_can_be_paused(page: Any, server: Any, runs: dict[str, str], make: Any) -> None:
    page.goto("#/runs")
    page.get_by_role("row").filter(has_text=runs["done"]).wait_for()
    assert page.get_by_role("region", name="Schedules").count() == 0
    body = {"name": "nightly", "cron": "30 3 * * *", "zone": "Europe/Berlin", "spec": make["churn"]()}
    assert server.http.post("/api/v1/schedules", json=body).status_code == 201
    try:
        page.reload()
        row = page.get_by_role("region", name="Schedules").get_by_role("listitem").filter(has_text="nightly")
        row.get_by_text(re.compile(r"next in .*, at ")).wait_for()
        assert "churn, 30 3 * * * Europe/Berlin" in row.inner_text()
        row.get_by_role("button", name="Pause nightly").click()
        row.get_by_text("paused: nothing is submitted until it is resumed").wait_for()
        assert server.http.get("/api/v1/schedules/nightly").json()["is_paused"]
        row.get_by_role("button", name="Resume nightly").click()
        row.get_by_text(re.compile("next in")).wait_for()
        assert not server.http.get("/api/v1/schedules/nightly").json()["is_paused"]
    finally:
        server.http.delete("/api/v1/schedules/nightly")


def test_an_offer_of_a_new_placement_is_shown_and_can_be_accepted(page: Any, server: Any, runs: dict[str, str]) -> None:
    asked: list[str] = []
    offer = {
        "at": "2026-01-31T12:00:00Z",
        "nodes": {"nap": "quick"},
        "reason": "nap has waited for 11 min: unschedulable: 0/3 nodes are available",
        "doubts": ["load would run again"],
    }

    def replace(route: Any) -> None:
        asked.append(route.request.method)
        route.fulfill(status=202, json={"run": {"id": runs["done"]}, "link": ""})

    path = f"/api/v1/runs/{runs['waiting']}"
    detail = {**server.http.get(path).json(), "offer": offer}
    page.route(f"**{path}", lambda route: route.fulfill(json=detail))
    page.route(f"**{path}/replace", replace)
    page.goto(f"#/runs/{runs['waiting']}")
    offered = page.get_by_role("group", name="Offer of a new placement")
    offered.get_by_text("unschedulable: 0/3 nodes are available. A new run could start nap on quick now").wait_for()
    assert "load would run again" in offered.inner_text()
    offered.get_by_role("button", name="Place it anew").click()
    page.get_by_role("heading", name=runs["done"]).wait_for()
    assert asked == ["POST"]


def test_what_a_waiting_task_is_offered_can_be_taken(page: Any, server: Any, runs: dict[str, str]) -> None:
    asked: list[Any] = []
    path = f"/api/v1/runs/{runs['waiting']}"
    found = server.http.get(f"{path}/explain/task", params={"task": "nap"}).json()
    command = f"mlopx accept {runs['waiting']} nap --option small --node slow"
    found["actions"] = [{"text": "Take slow at once (12 s are predicted).", "command": command}, *found["actions"]]

    def accept(route: Any) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(status=409, json={"detail": "slow has no room any more", "hint": "see what it waits for"})

    page.route(f"**{path}/explain/task?task=nap", lambda route: route.fulfill(json=found))
    page.route(f"**{path}/accept", accept)
    page.goto(f"#/runs/{runs['waiting']}/tasks/nap")
    page.get_by_role("button", name="Take slow").click()
    page.get_by_role("alert").get_by_text("slow has no room any more").wait_for()
    assert asked == [{"task": "nap", "node": "slow", "option": "small"}]


def test_strategies_are_listed_with_the_one_in_use(page: Any, runs: dict[str, str]) -> None:
    page.goto("#/strategies")
    listed = page.get_by_role("region", name="Strategies there are").get_by_role("listitem")
    listed.first.get_by_text("in use").wait_for()
    assert "fifo_greedy" in listed.first.inner_text()
    assert listed.get_by_role("link", name="What if heft").get_attribute("href") == "#/plan?strategy=heft"


def test_predictions_are_shown_against_what_happened(page: Any, runs: dict[str, str]) -> None:
    page.goto("#/strategies")
    found = page.get_by_role("region", name="Predictions: how good they were")
    found.get_by_text(re.compile(r"% of the last \d+ run times were inside the predicted band")).wait_for()
    found.get_by_role("img", name=re.compile("Predicted against actual run times of")).wait_for()
    dots = found.locator("circle title").all_text_contents()
    assert any(re.match(r"train.0 of churn-\w+ on (quick|slow): predicted .*, ran ", text) for text in dots)
    by_component = found.get_by_role("region", name="Predictions by component").get_by_role("row")
    assert by_component.filter(has_text="train").count() >= 1


def test_strategies_that_run_beside_the_live_one_are_compared_with_it(page: Any, runs: dict[str, str]) -> None:
    page.goto("#/strategies")
    beside = page.get_by_role("region", name="Beside the live strategy").first
    beside.get_by_text("No other strategy is asked beside fifo_greedy.").wait_for()
    shadow = {
        "name": "heft",
        "comparisons": 48,
        "tasks": 212,
        "agreement": 0.79,
        "predicted_difference": 0.061,
        "cycles_compared": 48,
        "cycles_dropped": 31,
        "cycles_failed": 2,
        "problem": "it was late",
    }
    answer = {"live": "online", "shadows": [shadow, {**shadow, "name": "cost", "predicted_difference": -0.123}]}
    page.route("**/api/v1/strategies/shadows", lambda route: route.fulfill(json=answer))
    page.reload()
    beside.get_by_text("mean turnaround with cost would be 12.3 % less than with online").wait_for()
    row = beside.get_by_role("row").filter(has_text="heft")
    assert "+6.1 %" in row.inner_text()
    assert "79 %" in row.inner_text()
    assert "it was late" in row.inner_text()
    assert "Simulated" in beside.inner_text()


@pytest.mark.parametrize("kind", ["measured", "simulated"])
def test_what_was_saved_is_labelled_as_measured_or_simulated(page: Any, runs: dict[str, str], kind: str) -> None:
    saved = {"turnaround_seconds": 3168.0, "node_hours": 0.11, "gpu_hours": 0.0, "money": 0.08}
    slower = [{"run_id": runs["done"], "factor": 1.41}]
    found = {"saved": saved, "slower_runs": 9, "slower": slower, "change": -0.2, "simulator_error": 0.043, "runs": 30}
    report = {
        "kind": kind,
        "status": "ready",
        "sentence": f"{kind}: mean turnaround 18 s less",
        "strategy": "online",
        "baseline": "fifo_greedy",
        "currency": "EUR",
        "problem": "",
        "measured": None,
        "simulated": None,
        kind: found,
    }
    page.route(re.compile(r"/api/v1/report"), lambda route: route.fulfill(json=report))
    page.goto("#/")
    card = page.get_by_role("region", name="What it saved")
    card.get_by_text(f"{kind}, last 30 days").wait_for()
    assert "52 min 48 s" in card.inner_text()
    assert "0.08 EUR" in card.inner_text()
    assert ("4.3 %" in card.inner_text()) is (kind == "simulated")
    assert ("HOLDOUT=10%" in card.inner_text()) is (kind == "simulated")
    card.get_by_text("runs made slower").last.click()
    card.get_by_role("link", name=runs["done"]).wait_for()


def test_why_nothing_can_be_said_of_savings_is_said_once(page: Any, runs: dict[str, str]) -> None:
    problem = "3 runs that ended are on record; a replay needs 5"
    report = {
        "kind": "none",
        "status": "ready",
        "sentence": f"nothing can be said: no run is left to compare with, and there is no simulation: {problem}",
        "strategy": "online",
        "baseline": "fifo_greedy",
        "currency": "",
        "problem": problem,
        "measured": None,
        "simulated": None,
    }
    page.route(re.compile(r"/api/v1/report"), lambda route: route.fulfill(json=report))
    page.goto("#/")
    card = page.get_by_role("region", name="What it saved")
    card.get_by_text("Nothing can be said").wait_for()
    assert card.inner_text().count(problem) == 1


def test_two_strategies_plan_the_same_queue_side_by_side(page: Any, runs: dict[str, str]) -> None:
    page.goto("#/compare?what=strategies")
    page.get_by_label("Second strategy").select_option("fifo_random")
    table = page.get_by_role("region", name="Predicted")
    table.get_by_role("row").filter(has_text="everything done in").wait_for()
    assert table.get_by_role("columnheader").all_inner_texts()[1:] == ["fifo_greedy", "fifo_random"]
    ends = page.get_by_role("region", name="Runs: when each ends").get_by_role("row")
    ends.filter(has_text=runs["running"]).get_by_text("in ", exact=False).first.wait_for()


def test_two_runs_are_compared_in_parameters_values_nodes_and_code(page: Any, runs: dict[str, str]) -> None:
    page.goto("#/runs")
    for name in ("done", "again"):
        page.get_by_label(f"Compare {runs[name]}").check()
    page.get_by_role("link", name="Compare the two").click()
    row = page.get_by_role("region", name="Parameters").get_by_role("row").filter(has_text="depth")
    row.wait_for()
    assert "differs" in row.text_content()
    page.get_by_text("The code of all components is the same.").wait_for()
    page.get_by_label("also what is the same").check()
    page.get_by_role("region", name="Tasks: node and run time").get_by_text("train.2").wait_for()


def test_a_new_run_appears_by_itself_and_moves_to_its_end(
    page: Any, server: Any, runs: dict[str, str], make: Any
) -> None:
    page.goto("#/runs")
    page.get_by_role("table", name="Runs").wait_for()
    new = server.submit(make["churn"](7))
    page.get_by_role("row").filter(has_text=new).filter(has_text="succeeded").wait_for()


def test_cancelling_asks_first_and_a_retry_leads_to_the_new_run(page: Any, server: Any, make: Any) -> None:
    run = server.submit(make["sleeper"]("nap", resources=make["gpu"]))
    page.goto(f"#/runs/{run}")
    page.get_by_role("button", name="Cancel run").click()
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("button", name="Cancel run").click()
    page.get_by_role("button", name="Yes, cancel").click()
    page.get_by_text("cancelled", exact=False).first.wait_for()
    page.get_by_role("button", name="Retry").click()
    until(page, f"!location.hash.includes('{run}')")
    page.get_by_text("retry of").wait_for()


def test_what_is_wrong_is_said_in_the_servers_own_sentence(page: Any, runs: dict[str, str]) -> None:
    page.goto("#/runs/nobody-here")
    page.get_by_role("alert").get_by_text("nobody-here").wait_for()
    page.goto("#/no/such/page")
    page.get_by_role("heading", name="Nothing here").wait_for()
    page.complaints.clear()


def test_a_server_without_runs_says_what_to_do_and_one_that_went_away_is_caught_up_with(
    browser: Any, real_server: Any, make: Any, tmp_path: Path
) -> None:
    server = real_server(tmp_path, MLOPX_TOKEN="sesame")
    server.start()
    try:
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{server.url}/ui/")
        page.get_by_label("Token").fill("sesame")
        page.get_by_role("button", name="Open").click()
        page.get_by_text("No runs yet.").wait_for()
        page.get_by_text(re.compile("mlopx submit ")).wait_for()
        page.get_by_text("Nothing waits").wait_for()
        page.get_by_text("Nothing runs at the moment.").wait_for()
        for address, text in (
            ("runs", "No runs yet."),
            ("plan", "Nothing to draw"),
            ("strategies", "Nothing was predicted"),
        ):
            page.goto(f"{server.url}/ui/#/{address}")
            page.get_by_text(text).wait_for()
        page.goto(f"{server.url}/ui/#/runs")
        page.get_by_text("live", exact=True).wait_for()
        server.kill()
        page.get_by_role("alert").get_by_text("The server does not answer.").wait_for()
        server.start()
        server.http.headers["Authorization"] = "Bearer sesame"
        new = server.submit(make["churn"]())
        page.get_by_text("live", exact=True).wait_for()
        page.get_by_role("row").filter(has_text=new).filter(has_text="succeeded").wait_for()
        assert page.get_by_role("alert").count() == 0
        page.close()
    finally:
        server.kill()
        server.http.close()


def test_five_hundred_tasks_are_drawn_folded_and_unfold(page: Any, server: Any, make: Any) -> None:
    run = server.submit(make["chain"](500))
    page.goto(f"#/runs/{run}")
    page.get_by_text("26 boxes, 500 tasks").wait_for()
    page.get_by_role("button", name="Unfold").click()
    page.get_by_text("500 boxes, 500 tasks").wait_for()
    until(page, "document.querySelector('.graph .scroll').scrollHeight > 20000")
    page.get_by_role("region", name="Graph of the run").evaluate("box => { box.scrollTop = box.scrollHeight }")
    until(page, "document.querySelector('.graph .scroll').scrollTop > 10000")
    lowest = "Math.max(...[...document.querySelectorAll('[data-box]')].map(box => box.getCTM().f))"
    until(page, f"{lowest} > document.querySelector('.graph svg').clientHeight - 100")
    assert 5 < page.locator("[data-box]").count() < 120


def test_five_hundred_tasks_are_listed_as_far_as_they_are_in_sight_and_can_be_found(
    page: Any, server: Any, make: Any
) -> None:
    run = server.submit(make["chain"](500))
    page.goto(f"#/runs/{run}/tasks")
    page.get_by_text("500 of 500 tasks").wait_for()
    assert 5 < page.locator(".list-row").count() < 80
    page.get_by_label("Find").fill("step-321")
    row = page.get_by_role("row").filter(has_text="part-16/step-321")
    row.get_by_text("waits for first", exact=False).wait_for()
    row.get_by_role("button").click()
    page.get_by_role("complementary", name="Task part-16/step-321").wait_for()


def test_of_many_runs_only_those_in_sight_are_in_the_page(page: Any, runs: dict[str, str]) -> None:
    many = [{**row, "id": f"many-{number}"} for number, row in enumerate([ROW] * 1000)]
    page.route(re.compile(r"/api/v1/runs\?limit=500"), lambda route: route.fulfill(json={"runs": many, "next": None}))
    page.goto("#/runs")
    page.get_by_text("1000 runs").wait_for()
    assert page.locator(".list-row").count() < 60
    page.locator(".list-body").evaluate("box => { box.scrollTop = box.scrollHeight }")
    page.get_by_role("link", name="many-999").wait_for()
    page.get_by_label("Find").fill("many-512")
    page.get_by_text("1 run", exact=True).wait_for()


ROW = {
    "id": "",
    "name": "many",
    "state": "succeeded",
    "project": "default",
    "priority": 0,
    "submitted_at": "2026-01-31T12:00:00+00:00",
    "started_at": "2026-01-31T12:00:01+00:00",
    "finished_at": "2026-01-31T12:00:09+00:00",
    "waiting_seconds": 1.0,
    "execution_seconds": 8.0,
    "turnaround_seconds": 9.0,
    "error": "",
    "retry_of": None,
}
