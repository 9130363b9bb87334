"""What is written down holds no secret: the values of this process's secrets, and what looks like a well-known one."""

import os
import re

# Of an environment variable. PWD alone is the folder one is in.
SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSPHRASE|CREDENTIALS?|_PASS|_PWD)$", re.IGNORECASE)
SHORTEST = 8  # characters: a shorter value would be found in innocent words
# Tokens of Hugging Face, GitHub and W&B (of which the older are 40 hexadecimal digits, as commits are, which stand in paths),
# access keys of AWS and Google, and the password in an address.
KNOWN = re.compile(
    r"\bhf_[A-Za-z0-9]{16,}|\bgh[pousr]_[A-Za-z0-9]{16,}|\bwandb_v1_[A-Za-z0-9_]{16,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bAIza[A-Za-z0-9_-]{30,}|(?<![\w/@-])[0-9a-f]{40}(?![\w/])|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)|(?<==)[^/\s:@&=]*:[^/\s@&]+(?=@)"
)
IN_QUERY = re.compile(r"([?&;](?:password|passwd|pwd|secret|token|api_?key)=)[^&;\s'\"]+", re.IGNORECASE)


def redact(text: str) -> str:
    """The text with every secret replaced: `[HF_TOKEN]` for the value of that variable, else `[secret]`."""
    held = {value: name for name, value in os.environ.items() if SECRET_NAME.search(name) and len(value) >= SHORTEST}
    for value in sorted(held, key=len, reverse=True):  # one may hold another
        text = text.replace(value, f"[{held[value]}]")
    return KNOWN.sub("[secret]", IN_QUERY.sub(r"\1[secret]", text))
