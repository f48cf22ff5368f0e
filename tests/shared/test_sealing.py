"""Sealed personal data: it opens under its own key and in its own place, and nowhere else."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sealing import BrokenSealError, KeyEncryptionKey, MalformedSealError, new_data_key, open_sealed, seal

KEY = bytes(range(32))
PLACE = b"result-received/0a1b/comment"
HOLDER = "subject:01-001"


class TestSealing:
    @given(plaintext=st.binary(), place=st.binary())
    def test_what_was_sealed_opens_again(self, plaintext: bytes, place: bytes) -> None:
        assert open_sealed(seal(plaintext, KEY, place), KEY, place) == plaintext

    def test_a_seal_is_plain_ascii_and_names_its_version(self) -> None:
        assert re.fullmatch(r"v1\.[A-Za-z0-9+/]+=*", seal("João".encode(), KEY, PLACE))

    def test_the_same_text_is_never_sealed_twice_alike(self) -> None:
        assert seal(b"O+", KEY, PLACE) != seal(b"O+", KEY, PLACE)

    def test_a_seal_of_another_implementation_opens(self) -> None:
        """Test case 16 of McGrew and Viega, The Galois/Counter Mode of Operation (2005): AES-256 with AAD."""
        key = bytes.fromhex("feffe9928665731c6d6a8f9467308308") * 2
        plaintext = bytes.fromhex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        )
        nonce = bytes.fromhex("cafebabefacedbaddecaf888")
        ciphertext = bytes.fromhex(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        )
        tag = bytes.fromhex("76fc6ece0f4e1768cddf8853bb2d551b")
        place = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
        sealed = "v1." + base64.b64encode(nonce + ciphertext + tag).decode()
        assert open_sealed(sealed, key, place) == plaintext

    def test_it_opens_under_no_other_key(self) -> None:
        with pytest.raises(BrokenSealError):
            open_sealed(seal(b"O+", KEY, PLACE), new_data_key(), PLACE)

    def test_it_cannot_be_moved_to_another_place(self) -> None:
        with pytest.raises(BrokenSealError, match="taken from another place"):
            open_sealed(seal(b"O+", KEY, PLACE), KEY, b"result-received/0a1c/comment")

    @given(bit=st.integers(0, (12 + 2 + 16) * 8 - 1))
    def test_no_bit_of_it_can_be_changed(self, bit: int) -> None:
        content = bytearray(base64.b64decode(seal(b"O+", KEY, PLACE).removeprefix("v1.")))
        content[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BrokenSealError):
            open_sealed("v1." + base64.b64encode(content).decode(), KEY, PLACE)

    @pytest.mark.parametrize(
        "text", ["", "v1.", "v1.AAAA", "v2." + "A" * 80, "plain text", "v1.%%%%", "v1." + "é" * 40]
    )
    def test_what_is_no_seal_is_refused(self, text: str) -> None:
        with pytest.raises(MalformedSealError):
            open_sealed(text, KEY, PLACE)

    @pytest.mark.parametrize("length", [0, 16, 31, 33])
    def test_a_key_has_32_bytes(self, length: int) -> None:
        with pytest.raises(ValueError, match="has 32 bytes"):
            seal(b"O+", bytes(length), PLACE)
        with pytest.raises(ValueError, match="has 32 bytes"):
            open_sealed(seal(b"O+", KEY, PLACE), bytes(length), PLACE)
        with pytest.raises(ValueError, match="has 32 bytes"):
            KeyEncryptionKey(bytes(length))
        with pytest.raises(ValueError, match="has 32 bytes"):
            KeyEncryptionKey(KEY).wrap(bytes(length), HOLDER)


class TestWrapping:
    def test_a_wrapped_key_unwraps_for_its_holder(self) -> None:
        data_key = new_data_key()
        wrapped = KeyEncryptionKey(KEY).wrap(data_key, HOLDER)
        assert len(wrapped) == 61
        assert data_key not in wrapped
        assert KeyEncryptionKey(KEY).unwrap(wrapped, HOLDER) == data_key

    def test_the_key_of_one_holder_cannot_be_put_in_the_row_of_another(self) -> None:
        wrapped = KeyEncryptionKey(KEY).wrap(new_data_key(), HOLDER)
        with pytest.raises(BrokenSealError, match="subject:01-002"):
            KeyEncryptionKey(KEY).unwrap(wrapped, "subject:01-002")

    def test_another_key_encryption_key_unwraps_nothing(self) -> None:
        wrapped = KeyEncryptionKey(KEY).wrap(new_data_key(), HOLDER)
        with pytest.raises(BrokenSealError):
            KeyEncryptionKey(new_data_key()).unwrap(wrapped, HOLDER)

    def test_a_wrapped_key_is_no_seal_of_the_key_itself(self) -> None:
        """The purpose is part of what is authenticated, so that the two uses of GCM cannot be mixed up."""
        wrapped = KeyEncryptionKey(KEY).wrap(new_data_key(), HOLDER)
        with pytest.raises(BrokenSealError):
            open_sealed("v1." + base64.b64encode(wrapped[1:]).decode(), KEY, HOLDER.encode())

    @pytest.mark.parametrize("wrapped", [b"", b"\x01", b"\x02" + bytes(60), b"\x01" + bytes(61)])
    def test_what_is_no_wrapped_key_is_refused(self, wrapped: bytes) -> None:
        with pytest.raises(MalformedSealError):
            KeyEncryptionKey(KEY).unwrap(wrapped, HOLDER)

    def test_the_key_encryption_key_shows_in_no_text(self) -> None:
        shown = repr(KeyEncryptionKey(KEY)) + str(KeyEncryptionKey(KEY).__dict__)
        assert KEY.hex() not in shown
        assert repr(KEY) not in shown
