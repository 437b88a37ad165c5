"""Hashes and addresses that look random yet lead straight back to what they name.

History is never held, so a look-up by packet hash, transaction, block or wallet cannot use an
index. Instead every identifier is ``head || (number XOR mask(head))``: ``head`` is a keyed hash of
the number, so that only identifiers of this seed open, and the masked tail gives the number back.
"""

from __future__ import annotations

from hashlib import blake2b

_TAIL = 8


class Sealer:
    """Seals numbers of one kind into ``0x`` hex and opens them again.

    Args:
        seed: seed of the simulator.
        kind: up to 15 ASCII characters; different kinds give unrelated texts.
    """

    def __init__(self, seed: int, kind: str) -> None:
        key = str(seed).encode()[:64]
        self._head = blake2b(key=key, person=kind.encode(), digest_size=24)
        self._mask = blake2b(key=key, person=kind.encode() + b"~", digest_size=_TAIL)

    def seal(self, number: int, size: int = 32) -> str:
        """``number`` (below 2**64) as ``size`` bytes (16 to 32), in ``0x`` hex."""
        hasher = self._head.copy()
        hasher.update(number.to_bytes(_TAIL, "big"))
        head = hasher.digest()[: size - _TAIL]
        return f"0x{head.hex()}{number ^ self._mask_of(head):016x}"

    def open(self, text: str) -> int | None:
        """The number in a text that ``seal`` made; None for any other text."""
        try:
            raw = bytes.fromhex(text.removeprefix("0x"))
        except ValueError:
            return None
        if not 16 <= len(raw) <= 32:
            return None
        number = int.from_bytes(raw[-_TAIL:], "big") ^ self._mask_of(raw[:-_TAIL])
        return number if self.seal(number, len(raw)) == text.lower() else None

    def _mask_of(self, head: bytes) -> int:
        hasher = self._mask.copy()
        hasher.update(head)
        return int.from_bytes(hasher.digest(), "big")


class Identifiers:
    """All identifiers of one seed.

    A packet is ``second << 24 | place``: the Unix second it was sent in and its place there. A step
    of its life has a transaction of its own; a block is a chain's number and a height; a wallet is
    a chain family and the rank of the person who owns it.
    """

    def __init__(self, seed: int) -> None:
        self._packets = Sealer(seed, "packet")
        self._transactions = Sealer(seed, "transaction")
        self._blocks = Sealer(seed, "block")
        self._wallets = {family: Sealer(seed, family) for family in ("evm", "cosmos", "aptos", "sui")}

    def packet_hash(self, packet: int) -> str:
        return self._packets.seal(packet)

    def open_packet(self, text: str) -> int | None:
        return self._packets.open(text)

    def transaction(self, packet: int, step: int) -> str:
        """Hash of the transaction of step 0 to 7 of a packet's life."""
        return self._transactions.seal(packet << 3 | step)

    def open_transaction(self, text: str) -> tuple[int, int] | None:
        """Packet and step of a transaction hash."""
        number = self._transactions.open(text)
        return None if number is None else (number >> 3, number & 7)

    def block(self, chain: int, height: int) -> str:
        return self._blocks.seal(chain << 48 | height)

    def open_block(self, text: str) -> tuple[int, int] | None:
        """Chain number and height of a block hash."""
        number = self._blocks.open(text)
        return None if number is None else (number >> 48, number & (1 << 48) - 1)

    def wallet(self, family: str, rank: int) -> str:
        """Canonical address: 20 bytes on evm and, but for contracts (32), on cosmos; else 32."""
        small = family == "evm" or (family == "cosmos" and rank % 16 != 7)
        return self._wallets[family].seal(rank, 20 if small else 32)

    def open_wallet(self, text: str) -> tuple[str, int] | None:
        """Chain family and rank of a canonical address."""
        for family, sealer in self._wallets.items():
            rank = sealer.open(text)
            if rank is not None:
                return family, rank
        return None
