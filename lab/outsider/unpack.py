# Opens a packed body with the standard library alone: zstd as RFC 8878 has it, in the one form that the page allows.
"""Needs no package. Slow, and meant for messages of at most a MiB."""


class Damaged(Exception):
    """Why a body cannot be opened."""


def demand(condition, why):
    if not condition:
        raise Damaged(why)


def codes(*steps):
    """Base values and extra bits of a code: from a base on, so many codes with so many extra bits each."""
    table, base = [], steps[0]
    for count, bits in steps[1]:
        for _ in range(count):
            table.append((base, bits))
            base += 1 << bits
    return table


LITERAL_CODES = codes(0, [(16, 0), (4, 1), (2, 2), (2, 3), (1, 4), (1, 6)] + [(1, bits) for bits in range(7, 17)])
MATCH_CODES = codes(3, [(32, 0), (4, 1), (2, 2), (2, 3), (2, 4), (1, 5)] + [(1, bits) for bits in range(7, 17)])
OFFSET_CODES = [(1 << bits, bits) for bits in range(32)]
LITERAL_SPREAD = [4, 3] + [2] * 11 + [1] * 3 + [2] * 9 + [3, 2] + [1] * 5 + [-1] * 4
MATCH_SPREAD = [1, 4, 3] + [2] * 6 + [1] * 37 + [-1] * 7
OFFSET_SPREAD = [1] * 6 + [2] * 3 + [1] * 15 + [-1] * 5


class Forward:
    """Bits from the lowest of the first byte on."""

    def __init__(self, raw):
        self.number, self.size, self.at = int.from_bytes(raw, "little"), len(raw) * 8, 0

    def take(self, count):
        found = self.peek(count)
        self.at += count
        demand(self.at <= self.size, "bits end too early")
        return found

    def peek(self, count):
        return self.number >> self.at & (1 << count) - 1


class Backward:
    """Bits from the end on: below the highest bit that is set, each group with its highest bit first."""

    def __init__(self, raw):
        demand(raw and raw[-1], "bits have no end")
        self.number = int.from_bytes(raw, "little")
        self.left = self.number.bit_length() - 1

    def take(self, count):
        found = self.peek(count)
        self.left -= count
        return found

    def peek(self, count):
        low = self.left - count
        return (self.number >> low if low >= 0 else self.number << -low) & (1 << count) - 1


def spread_of(raw, most):
    """Reads how often each symbol stands in a table; gives that, the logarithm of its size and the bytes it took."""
    bits = Forward(raw)
    log = bits.take(4) + 5
    demand(log <= most, "a table too large")
    left, counts = (1 << log) + 1, []
    while left > 1:
        size = left.bit_length()
        low = (1 << size) - 1 - left
        value = bits.peek(size)
        if value & (1 << size - 1) - 1 < low:
            value = bits.take(size - 1)
        else:
            bits.take(size)
            if value >= 1 << size - 1:
                value -= low
        counts.append(value - 1)
        left -= abs(value - 1)
        while value == 1:
            again = bits.take(2)
            counts += [0] * again
            if again < 3:
                break
        demand(left >= 1 and len(counts) <= 256, "counts of a table do not add up")
    return counts, log, (bits.at + 7) // 8


def table_of(counts, log):
    """For each state its symbol, how many bits to read, and what to add to them for the next state."""
    size = 1 << log
    symbols, high = [0] * size, size - 1
    for symbol, count in enumerate(counts):
        if count == -1:
            symbols[high] = symbol
            high -= 1
    place = 0
    for symbol, count in enumerate(counts):
        for _ in range(max(count, 0)):
            symbols[place] = symbol
            place = place + (size >> 1) + (size >> 3) + 3 & size - 1
            while place > high:
                place = place + (size >> 1) + (size >> 3) + 3 & size - 1
    demand(place == 0, "a table that is not full")
    following = [max(abs(count), 0) for count in counts]
    table = []
    for symbol in symbols:
        state = following[symbol]
        following[symbol] += 1
        bits = log + 1 - state.bit_length()
        table.append((symbol, bits, (state << bits) - size))
    return table, log


def weights_of(raw):
    """Weights of the symbols of a tree, and the bytes they took."""
    demand(raw, "no tree")
    first = raw[0]
    if first >= 128:
        count = first - 127
        packed = raw[1 : 1 + (count + 1) // 2]
        demand(len(packed) == (count + 1) // 2, "a tree ends too early")
        return [packed[i // 2] >> (4 - i % 2 * 4) & 15 for i in range(count)], 1 + len(packed)
    body = raw[1 : 1 + first]
    demand(len(body) == first, "a tree ends too early")
    counts, log, used = spread_of(body, 6)
    table, _ = table_of(counts, log)
    bits = Backward(body[used:])
    states, weights = [bits.take(log), bits.take(log)], []
    while True:
        demand(len(weights) < 255, "a tree too large")
        symbol, more, base = table[states[0]]
        weights.append(symbol)
        if bits.left < more:
            weights.append(table[states[1]][0])
            return weights, 1 + first
        states = [states[1], base + bits.take(more)]


def tree_of(raw):
    """For each group of bits its symbol and how many of them count."""
    weights, used = weights_of(raw)
    total = sum(1 << weight - 1 for weight in weights if weight)
    demand(total, "an empty tree")
    depth = total.bit_length()
    rest = (1 << depth) - total
    demand(rest & rest - 1 == 0 and depth <= 11, "a tree that is not full")
    weights = weights + [rest.bit_length()]
    table = []
    for weight in range(1, depth + 1):
        for symbol, own in enumerate(weights):
            if own == weight:
                table += [(symbol, depth + 1 - weight)] * (1 << weight - 1)
    return (table, depth), used


def letters(tree, raw, count):
    table, depth = tree
    bits, found = Backward(raw), bytearray()
    for _ in range(count):
        symbol, used = table[bits.peek(depth)]
        bits.left -= used
        found.append(symbol)
    demand(bits.left == 0, "letters do not end with their bits")
    return bytes(found)


def literals_of(raw, memory):
    """The letters of a block that stand there as such, and the bytes they took."""
    demand(raw, "an empty block")
    kind, form = raw[0] & 3, raw[0] >> 2 & 3
    if kind < 2:
        size = (1, 2, 1, 3)[form]
        count = int.from_bytes(raw[:size], "little") >> (3 if size == 1 else 4)
        body = raw[size : size + (count if kind == 0 else 1)]
        demand(len(body) == (count if kind == 0 else 1), "letters end too early")
        return (body if kind == 0 else body * count), size + len(body)
    size, bits = ((3, 10), (3, 10), (4, 14), (5, 18))[form]
    head = int.from_bytes(raw[:size], "little") >> 4
    count, packed = head & (1 << bits) - 1, head >> bits
    body = raw[size : size + packed]
    demand(len(body) == packed, "letters end too early")
    used = 0
    if kind == 2:
        memory["tree"], used = tree_of(body)
    demand("tree" in memory, "no tree to go on with")
    streams, body = [], body[used:]
    if form == 0:
        return letters(memory["tree"], body, count), size + packed
    jumps = [int.from_bytes(body[i : i + 2], "little") for i in (0, 2, 4)]
    body, each = body[6:], (count + 3) // 4
    for jump in jumps:
        streams.append(letters(memory["tree"], body[:jump], each))
        body = body[jump:]
    streams.append(letters(memory["tree"], body, count - 3 * each))
    return b"".join(streams), size + packed


def mode_table(name, mode, raw, spread, log, most, memory):
    """The table for one part of the sequences, and the bytes it took."""
    used = 0
    if mode == 0:
        memory[name] = table_of(spread, log)
    elif mode == 1:
        demand(raw, "a table ends too early")
        memory[name], used = ([(raw[0], 0, 0)], 0), 1
    elif mode == 2:
        counts, found, used = spread_of(raw, most)
        memory[name] = table_of(counts, found)
    demand(name in memory, "no table to go on with")
    return memory[name], used


def sequences_of(raw, memory):
    """Triples of offset value, length of the match, and letters before it."""
    demand(raw, "no sequences")
    count, at = raw[0], 1
    if count == 0:
        return []
    if count == 255:
        count, at = int.from_bytes(raw[1:3], "little") + 0x7F00, 3
    elif count > 127:
        count, at = (count - 128 << 8) + raw[1], 2
    modes = raw[at]
    at += 1
    parts = []
    for name, shift, spread, log, most in (
        ("letters", 6, LITERAL_SPREAD, 6, 9),
        ("offsets", 4, OFFSET_SPREAD, 5, 8),
        ("matches", 2, MATCH_SPREAD, 6, 9),
    ):
        part, used = mode_table(name, modes >> shift & 3, raw[at:], spread, log, most, memory)
        parts.append(part)
        at += used
    bits = Backward(raw[at:])
    states = [bits.take(log) for _, log in parts]
    found = []
    for left in range(count, 0, -1):
        literal, offset, match = (part[0][state] for part, state in zip(parts, states))
        demand(literal[0] < 36 and offset[0] < 32 and match[0] < 53, "an unknown code")
        (o, ob), (m, mb), (l, lb) = OFFSET_CODES[offset[0]], MATCH_CODES[match[0]], LITERAL_CODES[literal[0]]
        found.append((o + bits.take(ob), m + bits.take(mb), l + bits.take(lb)))
        if left > 1:
            one = literal[2] + bits.take(literal[1])
            three = match[2] + bits.take(match[1])
            states = [one, offset[2] + bits.take(offset[1]), three]
    demand(bits.left == 0, "sequences do not end with their bits")
    return found


def offset_of(value, literal, recent):
    """The distance that a value stands for; the three recent ones move on."""
    if value > 3:
        recent.insert(0, value - 3)
        recent.pop()
        return recent[0]
    at = value - 1 + (literal == 0)
    distance = recent[0] - 1 if at == 3 else recent[at]
    recent.insert(0, distance)
    recent.pop(min(at, 2) + 1)
    return distance


def block(raw, out, memory, most):
    text, used = literals_of(raw, memory)
    at = 0
    for value, match, literal in sequences_of(raw[used:], memory):
        out += text[at : at + literal]
        demand(at + literal <= len(text), "letters end too early")
        at += literal
        distance = offset_of(value, literal, memory["recent"])
        demand(0 < distance <= len(out) and len(out) + match <= most, "a match of what is not there")
        for _ in range(match):
            out.append(out[-distance])
    out += text[at:]
    demand(len(out) <= most, "more bytes than it declares")


def unpack(raw, at, declared):
    """The bytes of a packed body whose blocks begin at this place."""
    out, memory, last = bytearray(), {"recent": [1, 4, 8]}, False
    while not last:
        demand(at + 3 <= len(raw), "blocks end too early")
        head = int.from_bytes(raw[at : at + 3], "little")
        last, kind, size = head & 1, head >> 1 & 3, head >> 3
        at += 3
        taken = 1 if kind == 1 else size
        body = raw[at : at + taken]
        demand(len(body) == taken and kind < 3, "a block of no known form")
        at += taken
        if kind == 2:
            block(body, out, memory, declared)
        else:
            out += body if kind == 0 else body * min(size, declared + 1)
        demand(len(out) <= declared, "more bytes than it declares")
    demand(at == len(raw) and len(out) == declared, "it is not as long as it declares")
    return bytes(out)
