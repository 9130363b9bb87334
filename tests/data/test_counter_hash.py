import numpy as np

from foresight.data.counter_hash import shuffled, stream_of, u01


def test_a_number_depends_on_its_counter_alone():
    index = np.arange(1000)
    together = u01(7, index, 3)
    assert np.array_equal(together[:10], u01(7, index[:10], 3))
    assert np.array_equal(together[[900, 4]], u01(7, np.array([900, 4]), 3))


def test_matches_splitmix64_worked_out_with_whole_numbers():
    word_max = 2**64 - 1

    def mix(word: int) -> int:
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & word_max
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & word_max
        return word ^ (word >> 31)

    golden = 0x9E3779B97F4A7C15
    # The first output of splitmix64 seeded with 0, as published with the generator.
    assert mix(golden) == 0xE220A8397B1DCDAF
    word = mix((mix((5 * golden + 123) & word_max) + 3 * golden) & word_max)
    assert u01(123, np.array([4]), 2)[0] == (word >> 11) / 2**53


def test_uniform_and_uncorrelated_across_fields_and_streams():
    index = np.arange(100_000)
    numbers = np.stack([u01(1, index, 0), u01(1, index, 1), u01(2, index, 0), u01(1, index + 1, 0)])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.array([np.histogram(row, bins=10, range=(0, 1))[0] for row in numbers])
    assert abs(counts - 10_000).max() < 500  # five standard deviations of a bin
    assert abs(np.corrcoef(numbers) - np.eye(4)).max() < 0.02


def test_streams_differ_by_each_name():
    names = [("shapes", "train", 0), ("shapes", "test", 0), ("shapes", "train", 1), ("coco", 0)]
    assert len({stream_of(*parts) for parts in names}) == 4


def test_every_block_is_shuffled_in_an_order_of_its_own_and_prefixes_are_stable():
    numbers = shuffled(5, 1200, 12, 0)
    blocks = numbers.reshape(100, 12)
    assert (np.sort(blocks, axis=1) == np.arange(12)).all()
    assert len({tuple(block) for block in blocks}) == 100
    assert np.array_equal(shuffled(5, 31, 12, 0), numbers[:31])
    # Each number falls on each place equally often: 10,000 blocks and 12 numbers, five standard deviations.
    n_first = np.bincount(shuffled(5, 120_000, 12, 0)[::12], minlength=12)
    assert abs(n_first - 10_000 / 12).max() < 5 * (10_000 / 12) ** 0.5
