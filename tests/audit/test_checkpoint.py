"""Signed notes and checkpoints: those published by golang.org/x/mod/sumdb/note and C2SP, and what must be refused."""

import base64
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit import checkpoint as notes
from services.audit.checkpoint import Checkpoint, Note, SigningKey, VerifierKey

# golang.org/x/mod/sumdb/note, note_test.go: two keys, and one text that both have signed.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
BY_PETER = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
BY_ENOCH = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"

# C2SP tlog-checkpoint: its example, whose key is not published.
BEHIND_THE_SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)

KEY = SigningKey("marrow.example/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
HEAD = Checkpoint("marrow.example/log", 20, bytes(range(32)))


def peter() -> SigningKey:
    return SigningKey("PeterNeumann", Ed25519PrivateKey.from_private_bytes(PETER_SEED))


class TestVerifierKey:
    def test_a_private_key_has_the_published_verifier_key(self) -> None:
        assert str(peter().verifier_key) == PETER

    @pytest.mark.parametrize("vkey", [PETER, ENOCH])
    def test_a_published_key_is_written_as_it_was_read(self, vkey: str) -> None:
        assert str(VerifierKey.parse(vkey)) == vkey

    def test_no_part_of_a_key_is_a_key(self) -> None:
        parts = {PETER[begin:end] for begin in range(len(PETER)) for end in range(begin, len(PETER) + 1)}
        for part in parts - {PETER}:
            with pytest.raises(notes.MalformedKeyError):
                VerifierKey.parse(part)

    @pytest.mark.parametrize("at", range(len(PETER)))
    def test_a_key_with_one_character_changed_is_refused(self, at: int) -> None:
        with pytest.raises(notes.MalformedKeyError):
            VerifierKey.parse(PETER[:at] + chr(ord(PETER[at]) + 1) + PETER[at + 1 :])

    @pytest.mark.parametrize(
        "vkey",
        [
            pytest.param("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", id="length"),
            pytest.param("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", id="type"),
            pytest.param(PETER.replace("c74f20a3", "C74F20A3"), id="hex in capitals"),
            pytest.param(PETER.replace("Peter", "Peter "), id="space in the name"),
            pytest.param("\ud800" + PETER, id="no UTF-8"),
            pytest.param("", id="nothing"),
        ],
    )
    def test_what_is_no_ed25519_key_is_refused(self, vkey: str) -> None:
        with pytest.raises(notes.MalformedKeyError):
            VerifierKey.parse(vkey)


class TestNote:
    def test_signing_gives_the_published_note(self) -> None:
        assert notes.sign_note(TEXT, peter()) == f"{TEXT}\n{BY_PETER}"

    @pytest.mark.parametrize("vkey", [PETER, ENOCH])
    def test_a_published_note_verifies_under_each_of_its_keys(self, vkey: str) -> None:
        Note.parse(f"{TEXT}\n{BY_PETER}{BY_ENOCH}").verify(VerifierKey.parse(vkey))

    def test_signatures_by_unknown_keys_are_ignored(self) -> None:
        unknown = BY_ENOCH[:60] + "ABCD" + BY_ENOCH[60:]
        Note.parse(f"{TEXT}\n{unknown}{BY_PETER}").verify(VerifierKey.parse(PETER))

    def test_a_note_without_a_signature_by_the_key_is_refused(self) -> None:
        with pytest.raises(notes.UnverifiedNoteError, match=r"PeterNeumann\+c74f20a3"):
            Note.parse(f"{TEXT}\n{BY_ENOCH}").verify(VerifierKey.parse(PETER))

    def test_a_good_signature_does_not_excuse_a_bad_one_by_the_same_key(self) -> None:
        bad = BY_PETER[:60] + "ABCD" + BY_PETER[60:]
        with pytest.raises(notes.BadSignatureError):
            Note.parse(f"{TEXT}\n{BY_PETER}{bad}").verify(VerifierKey.parse(PETER))

    def test_a_signature_does_not_hold_for_another_text(self) -> None:
        with pytest.raises(notes.BadSignatureError):
            Note.parse(f"{TEXT.replace('answer', 'Answer')}\n{BY_PETER}").verify(VerifierKey.parse(PETER))

    def test_the_text_ends_at_the_last_empty_line(self) -> None:
        text = "a\n\nb\n\n"
        assert Note.parse(notes.sign_note(text, KEY)).text == text

    @pytest.mark.parametrize(
        "signed",
        [
            pytest.param(TEXT, id="no signatures"),
            pytest.param(TEXT + "\n", id="no signature line"),
            pytest.param(f"{TEXT}\n{BY_PETER}"[:-1], id="no newline at the end"),
            pytest.param(f"\x01{TEXT}\n{BY_PETER}", id="a control character"),
            pytest.param(f"{TEXT}\n{BY_PETER}".replace("\n", "\r\n"), id="carriage returns"),
            pytest.param(f"\ud800{TEXT}\n{BY_PETER}", id="no UTF-8"),
            pytest.param(f"{TEXT}\n{BY_PETER.replace('Peter', 'Peter ')}", id="a space in the name"),
            pytest.param(f"{TEXT}\n{BY_PETER.replace('Peter', 'Peter+')}", id="a plus in the name"),
            pytest.param(f"{TEXT}\n{BY_PETER.replace('—', '-')}", id="a hyphen for the dash"),
            pytest.param(f"{TEXT}\n{BY_PETER}Unexpected line.\n", id="another line"),
            pytest.param(f"{TEXT}\n— PeterNeumann x08go/Z=\n", id="base64 that is not canonical"),
            pytest.param(f"{TEXT}\n— PeterNeumann x08gow==\n", id="a key id alone"),
            pytest.param(f"{TEXT}\n{BY_PETER * 101}", id="too many signatures"),
            pytest.param("", id="nothing"),
        ],
    )
    def test_what_is_no_note_is_refused(self, signed: str) -> None:
        with pytest.raises(notes.MalformedNoteError):
            Note.parse(signed)

    @pytest.mark.parametrize("text", ["abc", "", "a\tb\n"])
    def test_what_would_be_no_note_is_not_signed(self, text: str) -> None:
        with pytest.raises(notes.MalformedNoteError):
            notes.sign_note(text, KEY)

    @settings(max_examples=100)
    @given(signed=st.text())
    def test_any_text_is_a_note_or_refused_by_name(self, signed: str) -> None:
        with suppress(notes.MalformedNoteError):
            Note.parse(signed)


class TestCheckpoint:
    def test_the_published_example_is_read(self) -> None:
        checkpoint = Checkpoint.parse(Note.parse(BEHIND_THE_SOFA).text)
        assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
        assert checkpoint.text() == BEHIND_THE_SOFA.partition("\n\n")[0] + "\n"

    def test_what_is_signed_verifies_under_the_logs_key(self) -> None:
        assert notes.verify_checkpoint(notes.sign_checkpoint(HEAD, KEY), KEY.verifier_key) == HEAD

    def test_an_empty_log_has_a_checkpoint(self) -> None:
        assert Checkpoint.parse("log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n").size == 0

    def test_lines_that_others_add_are_kept(self) -> None:
        text = HEAD.text() + "more\n"
        assert Checkpoint.parse(text).extensions == ("more",)
        assert Checkpoint.parse(text).text() == text

    def test_a_key_signs_for_its_own_log_only(self) -> None:
        with pytest.raises(notes.MalformedKeyError, match="does not sign for the log"):
            notes.sign_checkpoint(HEAD, peter())

    def test_a_checkpoint_of_another_log_is_refused_even_by_the_same_key(self) -> None:
        foreign = Checkpoint("marrow.example/other", HEAD.size, HEAD.root)
        with pytest.raises(notes.UnverifiedNoteError, match=r"of the log marrow\.example/other"):
            notes.verify_checkpoint(notes.sign_note(foreign.text(), KEY), KEY.verifier_key)

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(HEAD.text()[:-1], id="no newline at the end"),
            pytest.param(HEAD.text() + "\n", id="an empty line"),
            pytest.param(HEAD.text().replace("20\n", "020\n"), id="a leading zero"),
            pytest.param(HEAD.text().replace("20\n", "+20\n"), id="a sign"),
            pytest.param(HEAD.text().replace("20\n", "٢٠\n"), id="digits of another script"),
            pytest.param(HEAD.text().replace("20\n", "9223372036854775808\n"), id="too large"),
            pytest.param(HEAD.text().replace("AAEC", "AAE"), id="a broken root"),
            pytest.param("log\n20\nAAEC\n", id="a short root"),
            pytest.param("log\n20\n", id="no root"),
            pytest.param("\n20\nAAEC\n", id="no origin"),
        ],
    )
    def test_what_is_no_checkpoint_is_refused(self, text: str) -> None:
        with pytest.raises(notes.MalformedCheckpointError):
            Checkpoint.parse(text)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
class TestOpenSSL:
    """The same bytes under another implementation of RFC 8032."""

    def test_openssl_makes_the_same_signature(self, tmp_path: Path) -> None:
        pem = KEY.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / "key.pem").write_bytes(pem)
        (tmp_path / "text").write_text(HEAD.text(), encoding="utf-8")
        command = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-in", "text"]
        by_openssl = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
        assert Note.parse(notes.sign_checkpoint(HEAD, KEY)).signatures[0].signature == by_openssl

    def test_openssl_verifies_a_checkpoint(self, tmp_path: Path) -> None:
        pem = KEY.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / "key.pem").write_bytes(pem)
        (tmp_path / "text").write_text(HEAD.text(), encoding="utf-8")
        (tmp_path / "signature").write_bytes(Note.parse(notes.sign_checkpoint(HEAD, KEY)).signatures[0].signature)
        command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem"]
        command += ["-in", "text", "-sigfile", "signature"]
        assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0
