"""What CUDA is asked and told, with its answers played: no GPU has run this yet."""

import pickle

import pytest
import torch

from foresight.tuning.accelerator import CUDA, MemoryReading

GIB = 2**30


@pytest.fixture
def fractions(monkeypatch) -> list[float]:
    """The fractions that torch is told. The GPU has 80 GiB, of which 30 are free."""
    told: list[float] = []
    answers = {
        "mem_get_info": (30 * GIB, 80 * GIB),
        "memory_reserved": 48 * GIB,
        "max_memory_reserved": 56 * GIB,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda answer=answer: answer)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", told.append)
    return told


def test_what_lies_outside_of_the_allocator_is_what_is_not_free_and_not_its_own(fractions):
    assert CUDA.read() == MemoryReading(peak_mb=56 * 1024, overhead_mb=2 * 1024, total_mb=80 * 1024)


def test_a_processes_share_holds_its_overhead(fractions):
    CUDA.cap(0.25, overhead_mb=2 * 1024)
    CUDA.cap(0.125, overhead_mb=20 * 1024)  # on another GPU than was measured: then it runs out of memory at once
    assert fractions == [pytest.approx(0.25 - 0.025), 0.0]


def test_it_travels_to_workers():
    assert pickle.loads(pickle.dumps(CUDA)) == CUDA
