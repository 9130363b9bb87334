"""Frames of a video file, evenly spaced. PyAV brings FFmpeg's decoders along, so nothing else need be installed."""

from pathlib import Path

import numpy as np

from foresight.errors import RequestError

# Of the duration that a file states. A file that was cut off decodes without an error up to where it ends.
LEAST_DECODED = 0.8


def spread_frames(n_found: int, n_frames: int) -> list[int]:
    """Which of the frames 0 to `n_found` - 1 to take: evenly spaced, the first and the last among them."""
    assert 2 <= n_frames <= n_found
    gaps = n_frames - 1
    return [(2 * k * (n_found - 1) + gaps) // (2 * gaps) for k in range(n_frames)]


def read_frames(path: Path, n_frames: int) -> np.ndarray | None:
    """`n_frames` frames of a video as stored, uint8 [n_frames, H, W, 3]; None when it has fewer.

    Raises RequestError when the file is not a video, is damaged or ends before the duration that it states.
    """
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise RequestError(f"the clip '{path}' has no video in it; replace the file")
            stream = container.streams.video[0]
            stream.thread_count = 1  # a clip is a few seconds; many trials may be reading side by side
            # How many frames there are is known only at the end, so all are kept, in the decoder's compact form.
            decoded = list(container.decode(stream))
            stated_s = (container.duration or 0) / av.time_base
            last_s = decoded[-1].time if decoded else 0.0
            if not decoded or (last_s and last_s * len(decoded) / (len(decoded) - 1) < LEAST_DECODED * stated_s):
                raise RequestError(
                    f"the clip '{path}' was cut off: it ends after {len(decoded)} frames, at {last_s:.1f} of "
                    f"{stated_s:.1f} s; unpack or download it again"
                )
            if len(decoded) < n_frames:
                return None
            chosen = [decoded[index].to_ndarray(format="rgb24") for index in spread_frames(len(decoded), n_frames)]
    except av.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise RequestError(f"the clip '{path}' cannot be decoded ({reason}); unpack or download it again") from error
    if len({frame.shape for frame in chosen}) > 1:
        raise RequestError(f"the clip '{path}' changes its size on the way; encode it at one size or drop it")
    return np.stack(chosen)
