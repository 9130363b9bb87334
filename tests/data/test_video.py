import numpy as np
import pytest
from clip_writer import brightening, write_video

from foresight.data.video import read_frames, spread_frames
from foresight.errors import RequestError


def refusal(path) -> str:
    with pytest.raises(RequestError) as caught:
        read_frames(path, 2)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert f"'{path}'" in sentence
    return sentence


def test_frames_are_spread_from_the_first_to_the_last():
    assert spread_frames(9, 9) == list(range(9))
    assert spread_frames(17, 9) == list(range(0, 17, 2))
    assert spread_frames(12, 2) == [0, 11]
    assert spread_frames(10, 4) == [0, 3, 6, 9]
    assert spread_frames(6, 3) == [0, 3, 5]  # 2.5 is rounded up


@pytest.mark.parametrize("n_found", [9, 10, 23, 48, 1000])
def test_gaps_between_frames_differ_by_one_at_most_and_none_is_taken_twice(n_found):
    gaps = np.diff(spread_frames(n_found, 9))
    assert gaps.min() >= 1
    assert np.ptp(gaps) <= 1


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_the_frames_asked_for_are_those_of_the_video(tmp_path, codec):
    written = brightening(23, number=9, width=70, height=46)
    path = write_video(tmp_path / "clip.webm", written, codec)
    read = read_frames(path, 5)
    assert read.dtype == np.uint8
    assert read.shape == (5, 46, 70, 3)
    # Frames differ by 8, so an error below 4 tells frame k from its neighbours.
    assert abs(read.astype(int) - written[[0, 6, 11, 17, 22]]).max() < 4


def test_a_video_with_fewer_frames_than_asked_for_is_none(tmp_path):
    path = write_video(tmp_path / "short.webm", brightening(5))
    assert read_frames(path, 5).shape[0] == 5
    assert read_frames(path, 6) is None
    assert read_frames(write_video(tmp_path / "still.webm", brightening(1)), 2) is None


@pytest.mark.parametrize("content", [b"", b"not a video" * 50])
def test_a_file_that_is_no_video(tmp_path, content):
    path = tmp_path / "clip.webm"
    path.write_bytes(content)
    assert "cannot be decoded (" in refusal(path)


def test_a_file_that_is_not_there(tmp_path):
    assert "cannot be decoded (No such file" in refusal(tmp_path / "clip.webm")


def test_a_file_that_was_cut_off(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 64, 3), dtype=np.uint8)
    path = write_video(tmp_path / "clip.webm", noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    sentence = refusal(path)
    assert "was cut off: it ends after" in sentence
    assert "of 2.0 s" in sentence


def test_a_file_with_sound_alone(tmp_path):
    import av

    path = tmp_path / "clip.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libopus", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), dtype=np.int16), format="s16", layout="stereo")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert "has no video in it" in refusal(path)
