"""Sends the message on standard input: send.py URL SENDER RECIPIENT... < message"""

import sys

import mailwire


def main(url, sender, *recipients):
    result = mailwire.send(sys.stdin.buffer, url, sender=sender, recipients=recipients)
    failed = {**result.refused, **result.deferred}
    for recipient in recipients:
        reply = failed[recipient].reply if recipient in failed else result.accepted.get(recipient, "no reply")
        print(f"{recipient}: {reply}")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: send.py URL SENDER RECIPIENT... < message")
    try:
        main(*sys.argv[1:])
    except mailwire.Error as error:
        sys.exit(f"send.py: {error}")
