"""Where a record goes: key to partition, as every Kafka client does it, so that any of them can find what we wrote."""

from functools import lru_cache

MASK = 0xFFFFFFFF
SEED, MULTIPLIER = 0x9747B28C, 0x5BD1E995


def murmur2(data: bytes) -> int:
    """MurmurHash2 (Austin Appleby, public domain), 32 bits, with the seed that Kafka's default partitioner uses."""
    whole = len(data) & ~3
    state = SEED ^ len(data)
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at:at + 4], "little") * MULTIPLIER & MASK
        word = (word ^ word >> 24) * MULTIPLIER & MASK
        state = state * MULTIPLIER & MASK ^ word
    if rest := data[whole:]:
        state = (state ^ int.from_bytes(rest, "little")) * MULTIPLIER & MASK
    state = (state ^ state >> 13) * MULTIPLIER & MASK
    return state ^ state >> 15


@lru_cache(maxsize=65_536)      # 12,000 symbols and some; hashing costs 4 us, a bar has 10
def partition_for(key: str, partitions: int) -> int:
    """The partition of a key in a topic of so many."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
