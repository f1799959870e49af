"""What is told when: nothing is lost or told twice, an hour has its most, and one flapping plug hides nobody."""

from hypothesis import given
from hypothesis import strategies as st

from labctl.alerts.digest import GATHER, HOUR, HOURLY_OF_ONE, MOST_SHOWN, MOST_WAITING, Digest
from labctl.reading import Severity

from .servers import alert


def test_a_burst_is_one_message_with_the_loudest_first_and_a_number_for_the_rest() -> None:
    digest = Digest(hourly=20)
    for number in range(MOST_SHOWN + 16):
        digest.add(alert(f"q{number}", severity=Severity.WARNING), now=0.1 * number)
    digest.add(alert("voltage"), now=1.9)
    assert digest.due(1.9) == GATHER
    message = digest.take(GATHER)
    assert [line.alert.alarm.quantity for line in message.lines[:2]] == ["voltage", "q0"]
    assert (len(message.lines), message.more, message.lost) == (MOST_SHOWN, 17, 0)
    digest.done(message, GATHER)
    assert digest.due(GATHER) is None


def test_what_is_not_delivered_waits_and_its_newest_word_is_told() -> None:
    digest = Digest(hourly=20)
    digest.add(alert(sentence="first"), now=0.0)
    digest.take(5.0)
    digest.add(alert(sentence="second", change="cleared"), now=6.0)
    (line,) = digest.take(7.0).lines
    assert (line.alert.alarm.sentence, line.alert.change, line.times) == ("second", "cleared", 2)


def test_what_comes_while_a_message_is_under_way_is_told_in_the_next() -> None:
    digest = Digest(hourly=20)
    digest.add(alert(sentence="first"), now=0.0)
    message = digest.take(2.0)
    digest.add(alert(sentence="second"), now=3.0)
    digest.done(message, 4.0)
    assert digest.due(4.0) == 4.0 + GATHER
    (line,) = digest.take(6.0).lines
    assert (line.alert.alarm.sentence, line.times) == ("second", 1)


def test_a_loose_plug_has_its_few_messages_and_another_station_is_told_at_once() -> None:
    digest, now = Digest(hourly=20), 0.0
    for _ in range(HOURLY_OF_ONE):
        digest.add(alert(), now)
        now += GATHER
        digest.done(digest.take(now), now)
    for _ in range(50):
        digest.add(alert(), now)
    assert digest.due(now) == GATHER + HOUR
    digest.add(alert(station="A2"), now)
    assert digest.due(now) == now + GATHER
    message = digest.take(now + GATHER)
    assert [line.alert.alarm.station for line in message.lines] == ["A2"]
    digest.done(message, now + GATHER)
    (line,) = digest.take(GATHER + HOUR).lines
    assert line.times == 50


def test_an_hour_has_its_most_and_the_rest_is_summed_up() -> None:
    digest = Digest(hourly=2)
    for number in range(2):
        digest.add(alert(f"q{number}"), 10.0 * number)
        digest.done(digest.take(10.0 * number + 2.0), 10.0 * number + 2.0)
    for number in range(2, 9):
        digest.add(alert(f"q{number}"), 20.0)
    assert digest.due(30.0) == 2.0 + HOUR
    assert len(digest.take(2.0 + HOUR).lines) == 7


def test_what_cannot_be_kept_is_counted_and_told_once() -> None:
    digest = Digest(hourly=20)
    for number in range(MOST_WAITING + 3):
        digest.add(alert(f"q{number}"), 0.0)
    message = digest.take(2.0)
    assert (message.lost, len(message.lines) + message.more) == (3, MOST_WAITING)
    digest.done(message, 2.0)
    digest.add(alert("another"), 3.0)
    assert digest.take(5.0).lost == 0


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 600)), max_size=80),
    st.integers(1, 5),
    st.lists(st.booleans(), max_size=30),
)
def test_every_alert_is_told_exactly_once_and_no_hour_has_more_than_its_most(
    alerts: list[tuple[str, float]], hourly: int, works: list[bool]
) -> None:
    digest, now, told, sent, failures = Digest(hourly), 0.0, 0, list[float](), iter(works)

    def deliver_until(until: float) -> None:
        nonlocal told, now
        while (due := digest.due(now)) is not None and due <= until:
            now = due
            message = digest.take(now)
            assert message.lines
            if not next(failures, True):
                now += 1.0
                continue
            digest.done(message, now)
            sent.append(now)
            told += sum(message.told.values())
        now = max(now, until)

    for quantity, pause in alerts:
        deliver_until(now + pause)
        digest.add(alert(quantity), now)
    deliver_until(now + 100 * HOUR)
    assert digest.due(now) is None
    assert told == len(alerts)
    assert all(later - earlier > HOUR - 1e-6 for earlier, later in zip(sent, sent[hourly:], strict=False))
