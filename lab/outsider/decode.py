# Decodes and verifies the golden messages with nothing but docs/protocol.md: standard library, none of the engine's code.
"""Usage: decode.py FOLDER. One line per golden file; ends with 0 only if all that can be verified was."""
import hashlib
import pathlib
import re
import sys

sys.dont_write_bytecode = True
import unpack  # noqa: E402

# What the page says about keys (section "Golden files"): one signs the rows of the allow-list, another all else.
AUTHORITY = bytes.fromhex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")
WRITER = bytes.fromhex("ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1")
# So many flipped bits of each signed message, spread over it, are also held against its signatures, which is slow here.
FLIPS_PROVED = 100


# The tables of the golden entries, as the page names them: kinds of their columns, places of their keys, whether register.
TABLES = {
    3: (("id", "time", "int", "text", "bytes"), (0,), False),
    20: (("int", "text", "bytes", "int"), (0,), True),
    4011: (("int", "int", "int", "bytes", "int", "bytes"), (0, 1), False),
}


class Wrong(Exception):
    """Why a message is refused."""


def demand(condition, why):
    if not condition:
        raise Wrong(why)


# ---- BLAKE3, from its specification ----

IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
COLUMNS = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
DIAGONALS = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
WORD = 0xFFFFFFFF


def turn(word, by):
    return (word >> by | word << (32 - by)) & WORD


def compress(chaining, block, counter, length, flags):
    m = [int.from_bytes(block[i : i + 4], "little") for i in range(0, 64, 4)]
    v = chaining + IV[:4] + [counter & WORD, counter >> 32, length, flags]
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(COLUMNS + DIAGONALS):
            v[a] = (v[a] + v[b] + m[2 * i]) & WORD
            v[d] = turn(v[d] ^ v[a], 16)
            v[c] = (v[c] + v[d]) & WORD
            v[b] = turn(v[b] ^ v[c], 12)
            v[a] = (v[a] + v[b] + m[2 * i + 1]) & WORD
            v[d] = turn(v[d] ^ v[a], 8)
            v[c] = (v[c] + v[d]) & WORD
            v[b] = turn(v[b] ^ v[c], 7)
        m = [m[i] for i in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def words_to_bytes(words):
    return b"".join(word.to_bytes(4, "little") for word in words)


def subtree(data, first_chunk, flags):
    """Chaining value of a run of chunks; flags holds ROOT for the whole."""
    if len(data) > 1024:
        half = 1024
        while half * 2 < len(data):
            half *= 2
        left = subtree(data[:half], first_chunk, 0)
        right = subtree(data[half:], first_chunk + half // 1024, 0)
        return compress(IV[:], words_to_bytes(left + right), 0, 64, flags | PARENT)
    value = IV[:]
    starts = range(0, max(len(data), 1), 64)
    for at in starts:
        block = data[at : at + 64]
        own = (CHUNK_START if at == 0 else 0) | (CHUNK_END | flags if at == starts[-1] else 0)
        value = compress(value, block.ljust(64, b"\0"), first_chunk, len(block), own)
    return value


def blake3(data):
    return words_to_bytes(subtree(data, 0, ROOT))


# ---- Ed25519, from RFC 8032 ----

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def add(a, b):
    """Points are x, y, z and x * y / z."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    w, x, y, z = f - e, h - g, h + g, f + e
    return w * x % P, y * z % P, x * y % P, w * z % P


def point(encoded):
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    demand(y < P, "a point is not in its shortest form")
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT_OF_MINUS_1 % P
    demand(x * x % P == square and (x != 0 or sign == 0), "bytes are no point of the curve")
    if x % 2 != sign:
        x = P - x
    return x, y, 1, x * y % P


def encode_point(a):
    inverse = pow(a[2], P - 2, P)
    x, y = a[0] * inverse % P, a[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed_by(key, text, signature):
    """[S]B - [k]A must be R, byte by byte."""
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= L:
        return False
    hashed = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    x, y, z, t = point(key)
    minus_key = (P - x, y, z, P - t)
    both = add(BASE, minus_key)
    total = (0, 1, 1, 0)
    for i in range(252, -1, -1):
        total = add(total, total)
        bits = scalar >> i & 1, hashed >> i & 1
        if bits != (0, 0):
            total = add(total, both if bits == (1, 1) else BASE if bits[0] else minus_key)
    return encode_point(total) == signature[:32]


# ---- CBOR in its deterministic form ----

UINT, NEGATIVE, BYTES, TEXT, LIST, MAP, TAG, OTHER = range(8)


class Reader:
    """Takes items one behind the other and refuses every form but the shortest."""

    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, count):
        demand(self.at + count <= len(self.raw), "ends too early")
        self.at += count
        return self.raw[self.at - count : self.at]

    def head(self):
        first = self.take(1)[0]
        major, low = first >> 5, first & 31
        if low < 24:
            return major, low
        demand(low < 28, "a length without end, or a reserved one")
        size = 1 << (low - 24)
        number = int.from_bytes(self.take(size), "big")
        demand(major != OTHER, "a float, or an unknown simple value")
        demand(number >= 24 if size == 1 else number >> (size * 4), "an integer is not in its shortest form")
        return major, number

    def of(self, major, what):
        found, number = self.head()
        demand(found == major, f"not {what}")
        return number

    def uint(self, low=0, high=2**64 - 1):
        number = self.of(UINT, "a uint")
        demand(low <= number <= high, "a number is out of its range")
        return number

    def integer(self):
        major, number = self.head()
        demand(major in (UINT, NEGATIVE) and number < 2**63, "not an integer of 64 bits")
        return number if major == UINT else -1 - number

    def bytes(self, exactly=None, most=96 * 1024):
        length = self.of(BYTES, "a byte string")
        demand(length == exactly if exactly is not None else length <= most, "a byte string of a wrong length")
        return self.take(length)

    def text(self, most):
        length = self.of(TEXT, "a text")
        demand(length <= most, "a text is too long")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise Wrong("a text is not UTF-8") from None

    def truth(self):
        number = self.of(OTHER, "a truth value")
        demand(number in (20, 21), "not a truth value")
        return number == 21

    def list(self, least=0, most=65536):
        count = self.of(LIST, "a list")
        demand(least <= count <= most, "a list of a wrong length")
        return count

    def flat(self, *fields):
        """A flat list: as many times these fields as there are."""
        count = self.list()
        demand(count % len(fields) == 0, "a flat list breaks off")
        return [tuple(field() for field in fields) for _ in range(count // len(fields))]

    def next_is(self, byte):
        return self.at < len(self.raw) and self.raw[self.at] == byte

    def null_or(self, field):
        if self.next_is(0xF6):
            self.at += 1
            return None
        return field()

    def value(self):
        """A whole number, a text, bytes or null."""
        demand(self.at < len(self.raw), "ends too early")
        major = self.raw[self.at] >> 5
        if major in (UINT, NEGATIVE):
            return self.integer()
        if major == BYTES:
            return self.bytes()
        if major == TEXT:
            return self.text(16 * 1024)
        return self.null_or(lambda: demand(False, "not a value"))

    def skip(self, depth=8):
        """Passes over any one item."""
        demand(depth > 0, "nested too deeply")
        major, number = self.head()
        if major in (BYTES, TEXT):
            self.take(number)
        elif major in (LIST, MAP):
            for _ in range(number * (2 if major == MAP else 1)):
                self.skip(depth - 1)
        else:
            demand(major != TAG and (major != OTHER or number in (20, 21, 22)), "a tag, or an unknown simple value")

    def end(self):
        demand(self.at == len(self.raw), "something comes after the end")

    def marks(self):
        return self.flat(self.uint, self.origin, self.uint)

    def origin(self):
        return self.uint(1, 2**23 - 1)

    def passes_over(self, count):
        """Fields that a newer build has added."""
        for _ in range(count):
            self.skip()

    def signature(self, tag):
        """The last field; what it covers are the tag and all bytes before it."""
        text = tag.encode() + self.raw[: self.at]
        proof = Signature(text, self.bytes(64))
        self.end()
        return proof


class Signature:
    def __init__(self, text, signature, key=WRITER):
        self.text, self.signature, self.key = text, signature, key

    def prove(self):
        demand(signed_by(self.key, self.text, self.signature), "a signature is bad")


# ---- the messages; each gives what it says and what is to be proved ----

DEVICE = re.compile(r"[a-z0-9-]{1,16}\Z")
ROLES = ("hq", "back-office", "pos")
STATES = ("active", "suspended", "spare", "closed", "revoked")


def big(number, size):
    return number.to_bytes(size, "big")


def entries_of(body, count):
    reader, entries = Reader(body), []
    for _ in range(count):
        entries.append(reader.take(reader.uint(1, 64 * 1024)))
    reader.end()
    return entries


def unpacked(body):
    """Bytes of a zstd body."""
    demand(body[:4] == bytes.fromhex("28b52ffd") and body[4:5] and body[4] & 63 == 32, "a body is not packed as it says")
    flag = body[4] >> 6
    declared = int.from_bytes(body[5 : 5 + (1 << flag)], "little") + (256 if flag == 1 else 0)
    demand(0 < declared <= 2**20, "a packed body declares too many bytes")
    try:
        return unpack.unpack(body, 5 + (1 << flag), declared)
    except (unpack.Damaged, IndexError) as why:
        raise Wrong(f"a packed body cannot be opened: {why}") from None


class Chain:
    """Proves the chain and the seal of a frame. What the chain was before it is known for its first entry only."""

    def __init__(self, frame, entries, blobs):
        self.frame, self.entries, self.blobs = frame, entries, blobs

    def prove(self):
        f = self.frame
        place = big(f["origin"], 4) + big(f["stream"], 4)
        demand(f["first"] == 1, "the chain value before its first entry is not known")
        value = blake3(b"selvedge/chain/1" + place)
        demand(value[:8] == f["prev8"], "its entries follow another past")
        for i, entry in enumerate(self.entries):
            value = blake3(value + place + big(f["first"] + i, 8) + entry)
        places = [[entry.find(b"\x58\x20" + blake3(blob)) for entry in self.entries] for blob in self.blobs]
        demand(all(max(place) >= 0 for place in places), "a blob that no entry commits to")
        first = [next((i, at) for i, at in enumerate(place) if at >= 0) for place in places]
        demand(first == sorted(first), "blobs in another order than their entries")
        last = f["first"] + f["count"] - 1
        text = b"selvedge/seal/1" + place + big(last, 8) + big(f["session"], 8) + big(f["age"], 4) + value
        Signature(text, f["signature"]).prove()


def frame(raw):
    r = Reader(raw)
    fields = r.list(11, 12)
    says = {"v": r.uint(1, 1), "origin": r.origin(), "stream": r.uint(0, 2**32 - 1), "first": r.uint(1)}
    says["count"] = r.uint(1, 1000)
    says["prev8"] = r.bytes(8)
    says["session"], says["age"] = r.uint(), r.uint(0, 2**32 - 1)
    says["signature"], enc, body = r.bytes(64), r.uint(0, 1), r.bytes()
    blobs = []
    if fields == 12:
        pairs = r.of(MAP, "a map")
        demand(0 < pairs <= 8 and r.uint() == 1, "what is behind does not begin with key 1")
        blobs = [r.bytes() for _ in range(r.list(1 if pairs == 1 else 0))]
        demand(len(set(blobs)) == len(blobs), "a blob stands there twice")
        above = 1
        for _ in range(pairs - 1):
            above = r.uint(above + 1)
            r.skip()
        demand(sum(map(len, blobs)) <= 48 * 1024, "too many bytes of blobs")
    r.end()
    entries = entries_of(body if enc == 0 else unpacked(body), says["count"])
    says["packed"], says["entries"], says["blobs"] = enc == 1, entries, blobs
    return says, [Chain(says, entries, blobs)]


class Entry:
    """Reads an entry of an origin whose tables are known."""

    def __init__(self, raw, origin, tables):
        self.r, self.origin, self.tables = Reader(raw), origin, tables

    def read(self):
        r = self.r
        fields = r.list(5, 6)
        says = {"v": r.uint(1, 1), "epoch": r.uint(1, 65535), "stamp": r.uint(), "base": r.uint(0, 2**40 - 1)}
        self.moment, self.base = says["stamp"] >> 16, says["base"]
        says["runs"] = [self.run() for _ in range(r.list(1, 64))]
        if fields == 6:
            says["ext"] = self.ext()
        r.end()
        return says

    def run(self):
        parts = self.r.list(3)
        table, op = self.r.uint(), self.r.uint(0, 2)
        demand(table in self.tables, "an unknown table")
        return table, op, [self.row(op, *self.tables[table]) for _ in range(parts - 2)]

    def row(self, op, kinds, keys, is_register):
        r = self.r
        parts = r.list(1)
        if op == 0:
            demand(parts <= len(kinds), "more values than columns")
            row = [self.value(kind) for kind in kinds[:parts]]
            demand(row[-1] is not None, "trailing nulls are not cut")
            return row
        row = [self.value(kinds[key]) for key in keys]
        if op == 1:
            mask = r.uint(1, 2 ** len(kinds) - 1)
            seen = (r.bytes(7),) if is_register else ()
            changed = {i: self.value(kind) for i, kind in enumerate(kinds) if mask >> i & 1}
            demand(parts == len(keys) + 1 + len(seen) + len(changed), "a row of a wrong length")
            return row, *seen, changed
        demand(parts == len(keys) and not is_register, "a row of a wrong length")
        return row

    def value(self, kind):
        return self.r.null_or(getattr(self, "value_" + kind))

    def value_int(self):
        return self.r.integer()

    def value_text(self):
        return self.r.text(16 * 1024)

    def value_bytes(self):
        return self.r.bytes(most=32 * 1024)

    def value_time(self):
        return self.moment + self.r.integer()

    def value_id(self):
        number = self.r.integer()
        if number >= 0:
            demand(number < 2**32, "an id too far from its base")
            return self.origin << 40 | self.base + number
        other = -1 - number
        near = other >> 40 == self.origin and self.base <= other & (2**40 - 1) < self.base + 2**32
        demand(not near, "an id that is not in its short form")
        return other

    def ext(self):
        r, says, above = self.r, {}, 0
        pairs = r.of(MAP, "a map")
        demand(1 <= pairs <= 8, "a map of no pair or too many")
        for at in range(pairs):
            key = r.uint()
            demand(at == 0 or key > above, "keys do not ascend")
            above = key
            start = r.at
            says[key] = r.bytes(16) if key == 1 else r.bytes(8) if key == 2 else (r.skip(), r.raw[start : r.at])[1]
        return says


def entry(raw):
    return Entry(raw, 7, TABLES).read(), []


class Digest:
    """Of heads that the page names: those behind the digests of the golden beat."""

    HEADS = {0: [], 12: [(7, 2)]}

    def __init__(self, stream, digest):
        self.stream, self.digest = stream, digest

    def prove(self):
        text = b"selvedge/vector/1" + big(self.stream, 4)
        for origin, seq in self.HEADS.get(self.stream, []):
            text += big(origin, 4) + big(seq, 8)
        demand(self.digest == blake3(text)[:8], "a digest is of other heads")


def about_blobs(r):
    if r.list(0, 2) == 0:
        return [], None, []
    lacks = [r.bytes(32) for _ in range(r.list())]
    parts = r.list()
    through = r.bytes(32) if parts else None
    given = [r.bytes() for _ in range(parts - 1)]
    demand(lacks or parts, "two empty lists about blobs")
    return lacks, through, given


def ack(raw):
    r = Reader(raw)
    fields = r.list(14, 64)
    says = {"nonce": r.uint(), "stamp": r.uint(), "heads": r.marks(), "live": r.uint(), "bulk": r.uint(), "parked": r.uint()}
    says["committed"], says["kept twice"], says["generation"] = r.marks(), r.marks(), r.uint(0, 2**23 - 1)
    says["ages"] = r.flat(r.origin, r.uint)
    says["digests"] = r.flat(r.uint, lambda: r.bytes(8))
    says["lacks"], says["through"], says["given"] = about_blobs(r)
    says["signer"] = r.origin()
    r.passes_over(fields - 14)
    return says, [r.signature("selvedge/ack/1")] + [Digest(*one) for one in says["digests"]]


def need(raw):
    r = Reader(raw)
    fields = r.list(13, 64)
    says = {"nonce": r.uint(), "origin": r.origin(), "build": r.text(64), "epochs": (r.uint(), r.uint())}
    says["vectors"] = r.flat(r.uint, lambda: r.flat(r.origin, r.uint, lambda: r.bytes(8)))
    says["snapshot"], says["reply"] = r.truth(), r.truth()
    says["credit"], says["ticket"] = (r.uint(), r.uint()), r.uint()
    says["papers"] = r.flat(r.uint, r.bytes)
    r.passes_over(fields - 13)
    return says, [r.signature("selvedge/need/1")]


def allow_row(raw):
    r = Reader(raw)
    r.list(11, 11)
    says = {"origin": r.origin(), "store": r.uint(), "device": r.text(16), "role": r.text(16), "label": r.text(16)}
    says["key"], says["state"], says["version"] = r.bytes(32), r.text(16), r.uint()
    says["parents"] = [r.text(16) for _ in range(r.list(0, 8))]
    says["cut"] = r.flat(r.uint, r.uint, lambda: r.bytes(8))
    demand(says["role"] in ROLES and says["state"] in STATES, "an unknown role or state")
    demand(all(DEVICE.match(name) for name in says["parents"]), "a parent is no device id")
    spare = says["state"] == "spare"
    demand(says["device"] == "" and says["key"] == bytes(32) if spare else DEVICE.match(says["device"]), "a wrong device or key")
    streams = [stream for stream, _, _ in says["cut"]]
    demand(streams == sorted(set(streams)), "the streams of a cut do not ascend")
    demand(all(seq > 0 for _, seq, _ in says["cut"]), "a cut at no entry")
    demand((says["role"] == "hq") == (says["store"] == 0), "store and role do not go together")
    demand(len(set(says["parents"])) == len(says["parents"]), "a parent stands there twice")
    demand(not streams or says["state"] in ("closed", "revoked"), "a cut of an origin that has not ended")
    proof = r.signature("selvedge/allow/2")
    proof.key = AUTHORITY
    return says, [proof]


def succession(raw):
    r = Reader(raw)
    r.list(6, 6)
    says = {"origin": r.origin(), "predecessor": r.origin(), "first": r.uint(), "last": r.uint()}
    says["heads"] = r.flat(r.uint, r.uint, lambda: r.bytes(32))
    streams = [stream for stream, _, _ in says["heads"]]
    demand(streams == sorted(set(streams)), "the streams of a statement do not ascend")
    demand(all(says["first"] <= stream <= says["last"] for stream in streams), "a stream outside of its statement")
    proof = r.signature("selvedge/succession/1")
    proof.key = AUTHORITY
    return says, [proof]


def listed(items):
    """The head of a list of so many parts, at most 23, and these parts."""
    return bytes([0x80 | len(items)]) + b"".join(items)


def uint(number):
    """A uint in its shortest form."""
    if number < 24:
        return bytes([number])
    size = next(size for size in (1, 2, 4, 8) if number < 1 << size * 8)
    return bytes([24 + (1, 2, 4, 8).index(size)]) + big(number, size)


def watermark(raw):
    """The frame of an entry that brings one row of the table of watermarks."""
    says, proofs = frame(raw)
    [(table, op, [row])] = Entry(says["entries"][0], says["origin"], TABLES).read()["runs"]
    demand((table, op, says["count"]) == (4011, 0, 1) and len(row) == 6, "no row of a watermark")
    stream, origin, seq, chain, signer, signature = row
    demand(None not in row and len(chain) == 32 and len(signature) == 64, "a value of a wrong kind")
    demand(min(stream, origin, seq, signer) >= 0, "a number below nothing")
    signed = listed([uint(stream), uint(origin), uint(seq), b"\x58\x20" + chain, uint(signer)])
    says["row"] = row
    return says, proofs + [Signature(b"selvedge/watermark/1" + signed, signature)]


class Sealed:
    """Proves the entries of a segment: the chain from before them to after them, and their root."""

    def __init__(self, head, entries):
        self.head, self.entries = head, entries

    def prove(self):
        stream, origin, first, last, before, after, root, _ = self.head
        demand(len(self.entries) == last + 1 - first, "a wrong number of entries")
        level = []
        for seq, entry in enumerate(self.entries, first):
            before = blake3(before + big(origin, 4) + big(stream, 4) + big(seq, 8) + entry)
            level.append(blake3(b"\0" + big(seq, 8) + entry))
        demand(before == after, "its chain leads elsewhere")
        while len(level) > 1:
            pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
            level = [blake3(b"\1" + pair[0] + pair[1]) if len(pair) == 2 else pair[0] for pair in pairs]
        demand(level[0] == root, "its root is another")


def segment(raw):
    r = Reader(raw)
    r.list(10, 10)
    head = [r.uint(), r.origin(), r.uint(1), r.uint(1), r.bytes(32), r.bytes(32), r.bytes(32), r.origin()]
    signature, body = r.bytes(64), r.bytes()
    r.end()
    demand(body and body[0] in (0, 1), "a body of no known form")
    plain = body[1:] if body[0] == 0 else unpacked(body[1:])
    inner, entries = Reader(plain), []
    while inner.at < len(plain):
        entries.append(inner.bytes(most=64 * 1024))
    signed = listed([uint(n) for n in head[:4]] + [b"\x58\x20" + h for h in head[4:7]] + [uint(head[7])])
    says = {"packed": body[0] == 1, "head": head, "entries": entries}
    return says, [Signature(b"selvedge/segment/1" + signed, signature), Sealed(head, entries)]


def second_copy(raw):
    """Records behind one another. A reader stops at the first that is not whole; here every one must be."""
    r, frames, proofs = Reader(raw), [], []
    while r.at < len(raw):
        length, check = int.from_bytes(r.take(4), "big"), r.take(8)
        record = r.take(length)
        demand(length <= 96 * 1024 and blake3(record)[:8] == check, "a record is not whole")
        says, more = frame(record)
        frames.append(says)
        proofs += more
    demand(frames, "no record")
    return frames, proofs


def manifest(raw):
    r = Reader(raw)
    fields = r.list(11, 64)
    says = {"kind": r.uint(0, 0), "id": r.bytes(16), "store": r.uint(), "epoch": r.uint(), "stamp": r.uint()}
    says["chunks"], says["root"], says["marks"], maker = r.uint(1, 2**20), r.bytes(32), r.marks(), r.bytes()
    says["signer"] = r.origin()
    demand(says["id"] == says["root"][:16], "its id does not begin its root")
    says["maker"], proofs = allow_row(maker)
    demand(says["maker"]["origin"] == says["signer"], "the maker's row is of another origin")
    r.passes_over(fields - 11)
    own = r.signature("selvedge/snapshot/1")
    own.key = says["maker"]["key"]
    proofs[0].key = WRITER
    return says, proofs + [own]


class Path:
    """Proves that a chunk is in the tree of the manifest that lies beside it."""

    def __init__(self, says, body, path):
        self.says, self.body, self.path = says, body, path

    def prove(self):
        whole = manifest(GOLDEN["manifest"])[0]
        demand(self.says["id"] == whole["id"] and 1 <= self.says["number"] <= whole["chunks"], "no chunk of the manifest")
        value = blake3(b"\0" + big(self.says["number"], 8) + self.body)
        place, width, path = self.says["number"] - 1, whole["chunks"], self.path
        while width > 1:
            if place ^ 1 < width:
                demand(path, "its path is too short")
                pair = path[0] + value if place & 1 else value + path[0]
                value, path = blake3(b"\1" + pair), path[1:]
            place, width = place // 2, (width + 1) // 2
        demand(not path and value == whole["root"], "its path leads to another root")


def rows_of(body):
    """Runs of rows; whole numbers stand as differences from those above them."""
    r, runs = Reader(body), []
    while r.at < len(body):
        r.list(3, 3)
        table, columns, count = r.uint(), r.uint(1, 64), r.list(1)
        demand(count % columns == 0, "a row breaks off")
        rows, above = [], [0] * columns
        for _ in range(count // columns):
            row = [r.value() for _ in range(columns)]
            for i, value in enumerate(row):
                if isinstance(value, int):
                    row[i] = above[i] = (above[i] + value + 2**63) % 2**64 - 2**63
            rows.append(row)
        runs.append((table, rows))
    return runs


def chunk(raw):
    r = Reader(raw)
    fields = r.list(5, 64)
    says = {"kind": r.uint(1, 1), "id": r.bytes(16), "number": r.uint(1)}
    body, path = r.bytes(most=80 * 1024), r.bytes()
    r.passes_over(fields - 5)
    r.end()
    demand(body and body[0] in (0, 1) and len(path) % 32 == 0, "a body or path of no known form")
    plain = body[1:] if body[0] == 0 else unpacked(body[1:])
    says["rows"] = rows_of(plain)
    return says, [Path(says, body, [path[i : i + 32] for i in range(0, len(path), 32)])]


def wish(raw):
    r = Reader(raw)
    fields = r.list(5, 64)
    says = {"kind": r.uint(2, 2), "id": r.bytes(16), "chunks": [r.uint() for _ in range(r.list())], "signer": r.origin()}
    r.passes_over(fields - 5)
    return says, [r.signature("selvedge/wish/1")]


def view_head(raw):
    r = Reader(raw)
    r.list(7, 7)
    says = {"view": r.text(32), "stream": r.uint(), "origin": r.origin(), "version": r.uint(1), "as of": r.integer()}
    says["digest"] = r.bytes(32)
    return says, [r.signature("selvedge/view/1")]


def view_ask(raw):
    r = Reader(raw)
    fields = r.list(4, 64)
    says = {"nonce": r.uint()}
    says["views"] = r.flat(lambda: r.text(32), r.uint, r.uint, r.uint, r.uint, lambda: r.bytes(most=64))
    says["signer"] = r.origin()
    r.passes_over(fields - 4)
    return says, [r.signature("selvedge/view-ask/1")]


def view_part(raw):
    r = Reader(raw)
    fields = r.list(9, 64)
    says = {"nonce": r.uint()}
    says["head"], proofs = view_head(r.bytes())
    says["base"], says["after"], says["last"], enc, rows = r.uint(), r.bytes(most=64), r.truth(), r.uint(0, 1), r.bytes()
    plain = rows if enc == 0 else unpacked(rows)
    inner = Reader(plain)
    says["rows"] = inner.flat(lambda: inner.bytes(most=64), lambda: inner.null_or(lambda: inner.bytes(most=4096)))
    inner.end()
    keys = [says["after"]] + [key for key, _ in says["rows"]]
    demand(keys == sorted(set(keys)), "keys do not ascend")
    says["signer"] = r.origin()
    r.passes_over(fields - 9)
    return says, proofs + [r.signature("selvedge/view-part/1")]


# Beside the wire a message is known by its topic and its element 0; here by the name of its file.
KINDS = {
    "ack": ack,
    "allow_row": allow_row,
    "allow_row_ended": allow_row,
    "allow_row_spare": allow_row,
    "beat": ack,
    "chunk": chunk,
    "entry": entry,
    "entry_ext": entry,
    "entry_register": entry,
    "frame_packed": frame,
    "frame_raw": frame,
    "frame_side": frame,
    "manifest": manifest,
    "need": need,
    "second_copy": second_copy,
    "segment": segment,
    "succession": succession,
    "view_ask": view_ask,
    "view_part": view_part,
    "watermark": watermark,
    "wish": wish,
}
GOLDEN = {}


def refused(kind, raw, prove):
    try:
        _, proofs = kind(raw)
        if prove:
            for proof in proofs:
                proof.prove()
    except Wrong:
        return True
    return False


def flips_refused(kind, raw, says, proofs):
    """Every flipped bit must be refused, or read as another message; then some, spread over it, must fail its proofs."""
    read_well = []
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        flipped = bytes(flipped)
        if not refused(kind, flipped, False):
            read_well.append(flipped)
            # What the proofs themselves hold is no part of what a message says.
            demand(kind(flipped)[0] != says or proofs, "a flipped bit reads as the same message")
    by_form = len(raw) * 8 - len(read_well)
    if not proofs:
        return f"{by_form} flips by form, {len(read_well)} read as another message"
    step = 1 if kind is chunk else max(1, len(read_well) // FLIPS_PROVED)
    tried = read_well[::step]
    for flipped in tried:
        # A packed body can say the same in two ways; what passes is what was sealed.
        same = says.get("packed") and kind(flipped)[0] == says
        demand(refused(kind, flipped, True) or same, "a flipped bit passes")
    return f"{by_form} flips by form, {len(tried)} of {len(read_well)} others by proof"


def check(name, raw):
    demand(name in KINDS, "the page and this decoder do not know it")
    kind = KINDS[name]
    says, proofs = kind(raw)
    for end in range(len(raw)):
        demand(refused(kind, raw[:end], False), f"the first {end} bytes pass for a whole one")
    demand(refused(kind, raw + b"\0", False), "a byte behind the end passes")
    for proof in proofs:
        proof.prove()
    flips = flips_refused(kind, raw, says, proofs)
    return f"{'verified' if proofs else 'read, nothing signed'}; refused: {len(raw)} truncations, {flips}"


def main():
    # The two primitives say of themselves that they are right, by the vectors of their specifications.
    assert blake3(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert signed_by(
        bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
        b"",
        bytes.fromhex(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    )
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.hex")):
        GOLDEN[path.stem] = bytes.fromhex(path.read_text())
    failed = not GOLDEN
    for name, raw in GOLDEN.items():
        kind = KINDS[name].__name__ if name in KINDS else "?"
        try:
            result = check(name, raw)
        except Wrong as why:
            result, failed = f"NOT VERIFIED: {why}", True
        print(f"{name:16} {kind:10} {result}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
