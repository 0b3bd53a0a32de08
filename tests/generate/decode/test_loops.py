import random

from partimento.generate.decode.loops import LEAST_EVENTS, LONGEST_FIGURE, REPETITIONS, LoopWatch


def test_a_figure_is_noticed_and_two_rounds_are_kept() -> None:
    for period in (1, 3, 8, LONGEST_FIGURE):
        watch, figure = LoopWatch(), [("figure", i) for i in range(period)]
        for i in range(10):
            watch.add(("before", i))
        added = 0
        while watch.loop is None:
            watch.add(figure[added % period])
            added += 1
        assert added == period * max(REPETITIONS, -(-LEAST_EVENTS // period))
        assert watch.loop == 10 + 2 * period


def test_three_rounds_of_a_figure_are_music() -> None:
    watch = LoopWatch()
    for i in range(3 * 16):
        watch.add(i % 16)
    assert watch.loop is None


def test_what_was_said_to_be_safe_is_never_taken_back() -> None:
    chance = random.Random(5)
    for _ in range(60):
        watch, released, period = LoopWatch(), 0, chance.randint(1, 32)
        figure = [chance.randint(0, 3) for _ in range(period)]
        for i in range(400):
            watch.add(figure[i % period] if chance.random() > 0.01 else 9)
            assert watch.safe <= len(watch)
            released = max(released, watch.safe)
            if watch.loop is not None:
                assert watch.loop >= released
                watch.forget(watch.loop)


def test_music_that_does_not_repeat_is_released_at_once() -> None:
    watch = LoopWatch()
    for i in range(100):
        watch.add(i * i)
        assert watch.safe == i + 1
