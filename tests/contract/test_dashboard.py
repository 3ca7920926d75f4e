"""The dashboard's HTTP on real stores: what a page is given, what it is told of, and who is refused."""

import asyncio
import json
import queue
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer
from optuna.trial import TrialState, create_trial
from structlog.testing import capture_logs

from browser.studies import MARKUP, begin, classifier, unit_cube
from tuning_dashboard import app
from tuning_dashboard import feed as feeds
from tuning_dashboard.app import ReadLog, build_app
from tuning_dashboard.feed import Event, Feed
from tuning_dashboard.guards import only_for
from tuning_dashboard.listing import Listing, Row
from tuning_dashboard.serve import bind
from tuning_dashboard.stores import OneStore
from tuning_report.document import unpacked
from tuning_report.round_history import read
from tuning_store.exceptions import StoreUnavailable
from tuning_store.store import Store
from tuning_study.attributes import ROUND_ATTRIBUTE
from tuning_study.round import ResolvedRound

from .server_sent import events

HOST = "127.0.0.1:8787"
Client = TestClient[Any, Any]


@asynccontextmanager
async def dashboard(store: Store, read_log: ReadLog | None = None) -> AsyncIterator[Client]:
    async with TestClient(
        TestServer(build_app(OneStore(store), guards=[only_for({HOST})], read_log=read_log)), headers={"Host": HOST}
    ) as client:
        yield client


async def next_event(stream: AsyncIterator[tuple[str, Any]], name: str) -> Any:
    async with asyncio.timeout(60):
        async for found, data in stream:
            if found == name:
                return data
    raise AssertionError(f"the stream ended without {name}")


async def test_every_kind_of_store_is_listed_read_and_followed(store: Store) -> None:
    trials = classifier(14)
    study = begin(store, "digits", trials[:12], limit=30)
    async with dashboard(store) as client:
        (row,) = (await (await client.get("/api/studies")).json())["studies"]
        best = max(trial.values[0] for trial in trials[:12] if trial.state is TrialState.COMPLETE)
        assert (row["study"], row["name"], row["state"]) == (study, "digits", "Running")
        assert row["best"] == [pytest.approx(best)]

        told = await (await client.get("/api/study", params={"name": study})).json()
        assert told["document"]["head"]["counts"]["complete"] == row["counts"]["complete"]
        async with client.get("/api/events", params={"name": study, "since": told["version"]}) as answer:
            stream = events(answer)
            store.load_study(study).add_trials(trials[12:])
            changes = await next_event(stream, "changes")
            assert unpacked(changes["document"]["trials"]["number"])[0] == 12
            assert changes["version"] != told["version"]


async def test_a_list_that_takes_longer_than_a_page_waits_is_read_by_one_at_a_time(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, reading, most = begin(sqlite_store, "digits", classifier(3), limit=10), threading.Semaphore(1), []
    read_rows = Listing.rows

    def slow(listing: Listing) -> list[Row]:
        most.append(reading.acquire(blocking=False))
        time.sleep(0.2)  # longer than the page waits
        try:
            return read_rows(listing)
        finally:
            reading.release()

    monkeypatch.setattr(Listing, "rows", slow)
    monkeypatch.setattr(app, "_FIRST", 0.02)
    async with dashboard(sqlite_store) as client:
        await client.get("/api/studies")  # by now nobody reads ahead
        assert 'id="first">{}<' in await (await client.get("/")).text()
        (row,) = (await (await client.get("/api/studies")).json())["studies"]
    assert row["study"] == study
    assert len(most) > 1
    assert all(most), "two threads read the list at the same time"


async def test_who_asks_for_the_head_alone_gets_no_page(sqlite_store: Store) -> None:
    async with dashboard(sqlite_store) as client:
        head = await client.head("/")
        assert (head.status, head.content_type, await head.text()) == (200, "text/html", "")
        assert head.headers["Content-Security-Policy"] == (await client.get("/")).headers["Content-Security-Policy"]


async def test_a_page_that_is_closed_while_it_loads_is_no_error(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, closed = asyncio.Event(), asyncio.Event()

    async def first_answers(*_: object) -> dict[str, str]:
        began.set()
        await closed.wait()
        return {}

    monkeypatch.setattr(app._Dashboard, "_first_answers", first_answers)
    runner = web.AppRunner(build_app(OneStore(sqlite_store)))
    await runner.setup()
    with capture_logs() as logs, bind(0) as listening:
        await web.SockSite(runner, listening).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with ClientSession() as session:
            answer = await session.get(address)
            await began.wait()
            answer.close()
            await (await session.get(f"{address}/api/studies")).read()  # the server sees the first connection's end
            closed.set()
        await runner.cleanup()
    assert logs == []


async def test_the_page_has_its_first_state_in_it(sqlite_store: Store) -> None:
    study = begin(sqlite_store, f"digits{MARKUP}", classifier(3), limit=10)
    async with dashboard(sqlite_store) as client:
        for address in ("/", f"/study?name={quote(study, safe='')}"):
            html = await (await client.get(address)).text()
            assert MARKUP not in html
            (first,) = re.findall(r'<script type="application/json" id="first">(.*?)</script>', html)
            told = json.loads(first)
            assert [row["study"] for row in told["/api/studies"]["studies"]] == [study]
            documents = [answer["document"] for path, answer in told.items() if path.startswith("/api/study?")]
            assert len(documents) == (address != "/")
        assert '"first">{"/api/studies":' in await (await client.get("/study?name=nothing")).text()


async def test_importances_come_after_the_page(sqlite_store: Store) -> None:
    study = begin(sqlite_store, "digits", unit_cube(30, 3), limit=30, metrics=[{"name": "e", "direction": "Minimize"}])
    async with dashboard(sqlite_store) as client:
        told = await (await client.get("/api/study", params={"name": study})).json()
        assert told["importances"] is None
        async with client.get("/api/events", params={"name": study, "since": told["version"]}) as answer:
            found = await next_event(events(answer), "importances")
        assert {entry["parameter"] for entry in found["importances"][0]["parameters"]} == {"p0", "p1", "p2"}
        told = await (await client.get("/api/study", params={"name": study})).json()
        assert told["importances"] == found["importances"]


async def test_the_list_is_told_anew_when_it_changes(sqlite_store: Store) -> None:
    async with dashboard(sqlite_store) as client, client.get("/api/events") as answer:
        stream = events(answer)
        assert await next_event(stream, "studies") == {"studies": []}
        begin(sqlite_store, "digits", classifier(3), limit=10)
        told = await next_event(stream, "studies")
        assert [row["name"] for row in told["studies"]] == ["digits"]


async def test_a_study_is_listed_by_its_newest_round(sqlite_store: Store) -> None:
    first = begin(sqlite_store, "digits", classifier(3), limit=3)
    second = begin(sqlite_store, "digits", classifier(4), number=2, limit=10)
    async with dashboard(sqlite_store) as client:
        (row,) = (await (await client.get("/api/studies")).json())["studies"]
    assert (row["study"], row["round"]) == (second, 2)
    assert row["rounds"] == [{"study": first, "round": 1}, {"study": second, "round": 2}]


def written(resolved: ResolvedRound, trial: int) -> list[str]:
    if trial == 7:
        raise LookupError("It has written nothing.")
    return [f"{resolved.name} {trial} line {number}" for number in range(2500)]


async def test_what_a_trial_has_written_is_read_from_its_end(sqlite_store: Store) -> None:
    study = begin(sqlite_store, "digits", classifier(3), limit=10)
    async with dashboard(sqlite_store, written) as client:
        told = await (await client.get("/api/log", params={"name": study, "trial": "2"})).json()
    assert (told["lines"][0], len(told["lines"])) == ("digits 2 line 500", 2000)
    assert told["remark"] == "500 lines before these are left out."


@pytest.mark.parametrize(
    ("read_log", "trial", "want"),
    [(written, "7", "It has written nothing."), (None, "2", "tuning logs digits --trial 2")],
)
async def test_why_there_is_no_output(sqlite_store: Store, read_log: ReadLog | None, trial: str, want: str) -> None:
    study = begin(sqlite_store, "digits", classifier(3), limit=10)
    async with dashboard(sqlite_store, read_log) as client:
        told = await (await client.get("/api/log", params={"name": study, "trial": trial})).json()
    assert told["lines"] == []
    assert want in told["remark"]


@pytest.mark.parametrize("trial", ["first", "", "-1"])
async def test_output_is_asked_for_by_number(sqlite_store: Store, trial: str) -> None:
    study = begin(sqlite_store, "digits", classifier(3), limit=10)
    async with dashboard(sqlite_store, written) as client:
        answer = await client.get("/api/log", params={"name": study, "trial": trial})
        assert (answer.status, await answer.text()) == (400, "give the trial's number: &trial=3\n")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8787", "localhost:1", "127.0.0.1", ""])
@pytest.mark.parametrize("path", ["/", "/api/studies", "/api/events"])
async def test_another_host_is_refused(sqlite_store: Store, host: str, path: str) -> None:
    """A web site that makes its own name point here must learn nothing."""
    begin(sqlite_store, "secret", classifier(3), limit=10)
    async with dashboard(sqlite_store) as client:
        answer = await client.get(path, headers={"Host": host})
        assert answer.status in (400, 403)
        assert "secret" not in await answer.text()
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/api/studies", "/api/study", "/api/events"])
async def test_nothing_can_be_changed(sqlite_store: Store, method: str, path: str) -> None:
    async with dashboard(sqlite_store) as client:
        assert (await client.request(method, path)).status == 405


async def test_the_page_runs_its_own_files_alone(sqlite_store: Store) -> None:
    async with dashboard(sqlite_store) as client:
        for path in ("/", "/study?name=x", "/compare"):
            answer = await client.get(path)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
        style = (await answer.text()).split('rel="stylesheet" href="')[1].split('"')[0]
        asset = await client.get(style)
        assert (asset.status, asset.content_type) == (200, "text/css")
        assert "immutable" in asset.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("path", "status", "want"),
    [
        ("/api/study?name=local/none/u/r1", 404, "the store has no study local/none/u/r1"),
        ("/api/study", 400, "give the study"),
        ("/api/events?name=", 400, "give the study"),
        ("/assets/abc/page.css", 404, ""),
        ("/assets/abc/..%2f..%2fpage.py", 404, ""),
        ("/other", 404, ""),
    ],
)
async def test_what_is_not_there_is_told(sqlite_store: Store, path: str, status: int, want: str) -> None:
    async with dashboard(sqlite_store) as client:
        answer = await client.get(path)
        assert answer.status == status
        assert want in await answer.text()
        assert answer.content_type != "text/html"


async def test_a_study_that_cannot_be_understood_hides_no_other(sqlite_store: Store) -> None:
    begin(sqlite_store, "digits", classifier(3), limit=10)
    broken = begin(sqlite_store, "broken", classifier(3), limit=10)
    sqlite_store.load_study(broken).set_user_attr(ROUND_ATTRIBUTE, {"of": "another version"})
    async with dashboard(sqlite_store) as client:
        told = await (await client.get("/api/studies")).json()
        assert [row["name"] for row in told["studies"]] == ["digits"]
        answer = await client.get("/api/study", params={"name": broken})
        assert answer.status == 500
        assert "cannot be read" in (await answer.json())["error"]


async def test_the_page_asks_for_its_study_before_its_modules_run(sqlite_store: Store) -> None:
    async with dashboard(sqlite_store) as client:
        html = await (await client.get("/study", params={"name": f"local/{MARKUP}/r1"})).text()
    assert MARKUP not in html
    assert 'href="/api/study?name=local%2F%3C%2Fscript%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%2Fr1"' in html


async def test_names_that_are_markup_are_told_as_json(sqlite_store: Store) -> None:
    async with dashboard(sqlite_store) as client:
        answer = await client.get("/api/study", params={"name": MARKUP})
        assert answer.content_type == "application/json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_newest_study_is_read_before_a_page_asks(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(sqlite_store, "older", classifier(3), limit=10)
    newest = begin(sqlite_store, "newest", classifier(3), limit=10)
    asked: queue.Queue[str] = queue.Queue()

    def reading(store: Store, study: str) -> Any:
        asked.put(study)
        return read(store, study)

    monkeypatch.setattr(feeds, "read", reading)
    async with dashboard(sqlite_store):
        assert await asyncio.to_thread(asked.get, timeout=60) == newest


class FeedOf:
    """A feed, whose store can be cut off."""

    def __init__(self, store: Store, study: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.down = False
        monkeypatch.setattr(feeds, "read", self._reading)
        monkeypatch.setattr(feeds, "_PACE", 0.05)
        self.threads = ThreadPoolExecutor(2)
        self.feed = Feed(OneStore(store), study, self.threads, self.threads)

    def _reading(self, store: Store, study: str) -> Any:
        if self.down:
            raise StoreUnavailable("gone")
        return read(store, study)


@pytest.fixture
def make_feed(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], FeedOf]]:
    made: list[FeedOf] = []

    def make(study: str) -> FeedOf:
        made.append(FeedOf(sqlite_store, study, monkeypatch))
        return made[-1]

    yield make
    for entry in made:
        entry.threads.shutdown()


async def named(coming: "asyncio.Queue[Event]", *names: str) -> Event:
    """The next event of these names."""
    async with asyncio.timeout(60):
        while (event := await coming.get()).name not in names:
            pass
    return event


MakeFeed = Callable[[str], FeedOf]


async def test_a_page_that_was_cut_off_is_told_what_it_missed(sqlite_store: Store, make_feed: MakeFeed) -> None:
    study = begin(sqlite_store, "digits", classifier(3), limit=30)
    feed = make_feed(study).feed
    first = (await feed.snapshot()).version
    async with feed.events(first) as coming:
        versions = []
        for _ in range(2):
            sqlite_store.load_study(study).add_trials(classifier(1))
            versions.append((await named(coming, "changes")).version)
    async with feed.events(first) as coming:
        assert [(await named(coming, "changes", "reload")).version for _ in versions] == versions
    async with feed.events(str(versions[0])) as coming:
        assert (await named(coming, "changes", "reload")).version == versions[1]


@pytest.mark.parametrize("since", ["", "another-0", "another-1"])
async def test_a_page_of_another_server_starts_over(sqlite_store: Store, make_feed: MakeFeed, since: str) -> None:
    feed = make_feed(begin(sqlite_store, "digits", classifier(3), limit=30)).feed
    await feed.snapshot()
    async with feed.events(since) as coming:
        assert (await named(coming, "reload", "changes")).name == "reload"


async def test_a_store_that_is_away_is_told_and_its_return_too(sqlite_store: Store, make_feed: MakeFeed) -> None:
    found = make_feed(begin(sqlite_store, "digits", classifier(3), limit=30))
    async with found.feed.events((await found.feed.snapshot()).version) as coming:
        found.down = True
        assert json.loads((await named(coming, "away")).data) == {"message": "gone"}
        found.down = False
        await named(coming, "back")


async def test_reports_of_a_running_trial_are_changes(sqlite_store: Store, make_feed: MakeFeed) -> None:
    study = begin(sqlite_store, "digits", classifier(3), limit=30)
    loaded = sqlite_store.load_study(study)
    loaded.add_trial(create_trial(state=TrialState.RUNNING))
    feed = make_feed(study).feed
    running = loaded.get_trials()[-1]
    async with feed.events((await feed.snapshot()).version) as coming:
        sqlite_store.storage.set_trial_intermediate_value(running._trial_id, 5, 0.25)
        told = json.loads((await named(coming, "changes")).data)["document"]
    assert unpacked(told["trials"]["state"]) == ["running"]
    assert (unpacked(told["reports"]["step"]), unpacked(told["reports"]["value"])) == ([5], [0.25])


async def test_nobody_looking_reads_nothing(sqlite_store: Store, make_feed: MakeFeed) -> None:
    found = make_feed(begin(sqlite_store, "digits", classifier(3), limit=30))
    version = (await found.feed.snapshot()).version
    async with found.feed.events(version):
        assert found.feed.watched
    assert not found.feed.watched
    assert found.feed._following is None
