import itertools
import os
from collections.abc import Iterator

import pytest
from s3_server import KEY, SECRET, S3Server, s3_endpoint

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def s3() -> Iterator[tuple[str, S3Server | None]]:
    """An S3 for all tests, and the keys to it in the environment."""
    with s3_endpoint() as served, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield served


@pytest.fixture
def s3_url(s3: tuple[str, S3Server | None]) -> str:
    """A prefix of its own for a test."""
    return f"s3://bucket/test-{os.getpid()}-{next(NUMBERS)}?endpoint_override={s3[0]}&scheme=http&region=us-east-1"
