# Compares the rows of test_injection.c with the header: each parameter that takes a text has a row, or a reason for none.
import re
import sys

from null_sweep import functions

# What takes a text. Octets with a length are one where they are a secret, which is sent.
TEXTS = ("const char *", "const char *const *")


def main(header, test):
    with open(header) as file:
        wanted = {
            (name, parameter)
            for _, name, parameters in functions(file.read())
            for kind, parameter in parameters
            if kind in TEXTS or parameter == "secret"
        }
    with open(test) as file:
        have = set(re.findall(r"^\s*(?:ROW|HARMLESS)\((mailwire_\w+), (\w+)", file.read(), re.M))
    for function, parameter in sorted(wanted - have):
        print(f"{test}: no row for {parameter} of {function}", file=sys.stderr)
    for function, parameter in sorted(have - wanted):
        print(f"{test}: there is no {parameter} of {function}", file=sys.stderr)
    return wanted != have or not wanted


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
