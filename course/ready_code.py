"""The short code that `python -m course.ready` ends with: a computer's outcome in 14 letters and digits, for the teacher.

The fields are the digits of one large number, each with its own base; the number is written in the 32 signs of Crockford's
alphabet, which has no I, L, O and U. The last two signs are the number's rest by 1021. That is a prime, so one
wrong sign, or two neighbours exchanged, always give another rest.
"""

SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
STATES = ("ok", "note", "to do", "not looked at")
CHECKS = ("python", "packages", "torch", "weights", "mnist", "digit", "memory", "folder")
SYSTEMS = ("Linux", "Windows", "Darwin", "other")
VERSION = 1  # of the fields below
FIELDS = {  # name -> how many values it has: larger numbers are sent as the largest
    "version": 8, **{check: len(STATES) for check in CHECKS}, "system": len(SYSTEMS),
    "python_minor": 64, "torch_major": 8, "torch_minor": 64, "free_GB": 64, "cores": 64, "tenths": 256,
}  # fmt: skip
PRIME = 1021
LENGTH = 12  # signs of the number: 2^60 is more than the product of the fields


def encode(outcome):
    """The code of a dict with a whole number for each of FIELDS, such as "7K3M-...". What a field cannot hold becomes its largest."""
    number = 0
    for name, base in FIELDS.items():
        number = number * base + min(max(int(outcome.get(name, VERSION if name == "version" else 0)), 0), base - 1)
    text = _signs(number, LENGTH) + _signs(number % PRIME, 2)
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def decode(code):
    """The dict that `encode` was given. Raises ValueError on what is no such code, or a mistyped one."""
    text = code.upper().replace("-", "").replace(" ", "").translate(str.maketrans("ILO", "110"))
    if len(text) != LENGTH + 2 or set(text) - set(SIGNS):
        raise ValueError(
            f"{code!r} is no code of course.ready: {LENGTH + 2} letters and digits, in groups of at most four"
        )
    number, rest = _number(text[:LENGTH]), _number(text[LENGTH:])
    if number % PRIME != rest:
        raise ValueError(f"{code!r} was mistyped: ask for it again")
    outcome = {}
    for name, base in reversed(FIELDS.items()):
        number, outcome[name] = divmod(number, base)
    if outcome["version"] != VERSION:
        raise ValueError(f"{code!r} was made by another version of the course than this one")
    return outcome


def _signs(number, length):
    return "".join(SIGNS[number >> 5 * i & 31] for i in reversed(range(length)))


def _number(text):
    return sum(SIGNS.index(sign) * 32**i for i, sign in enumerate(reversed(text)))


def explain(code):
    """What a code says, in lines. Raises ValueError as `decode` does."""
    told = decode(code)
    by_state = {state: [c for c in CHECKS if STATES[told[c]] == state] for state in STATES}
    lines = [f"{state}: {', '.join(checks)}" for state, checks in by_state.items() if checks]
    torch = f"{told['torch_major']}.{told['torch_minor']}" if told["torch_major"] else "not here"
    machine = f"{SYSTEMS[told['system']]}, Python 3.{told['python_minor']}, PyTorch {torch}, {told['cores']} cores"
    seconds = f"one digit in {told['tenths'] / 10} seconds" if told["tenths"] else "no digit drawn"
    return [*lines, machine, f"{told['free_GB']} GB of memory free, {seconds}"]
