"""One mailbox from text, in linear time: `Name <local@domain>` or bare.

What a client or an operator writes becomes an `Address` that every provider can
carry, or is refused. The rules are narrower than RFC 5322 on purpose: what the RFC
allows and nobody sends (comments, quoted local parts, routes, literals, groups) is
what smuggles a second recipient past a check. Messages never show the address.
"""

from __future__ import annotations

import string
import unicodedata

from .email import Address
from .errors import InvalidAddressError

__all__ = ["ascii_domain", "format_address", "parse_address"]

#: RFC 5321 section 4.5.3.1.1, in bytes.
LONGEST_LOCAL_PART = 64

#: RFC 1035 section 2.3.4, in bytes; one label and a whole name without the root.
LONGEST_LABEL = 63
LONGEST_DOMAIN = 253

#: RFC 5321 section 4.5.3.1.3 (a path of 256 with its angle brackets), in bytes.
LONGEST_ADDR_SPEC = 254

#: In characters. No rule sets one; a header line of 998 must hold it when encoded.
LONGEST_DISPLAY_NAME = 255

#: In characters, looked at before anything else: the name with every character
#: escaped, and the address.
LONGEST_TEXT = 2 * LONGEST_DISPLAY_NAME + LONGEST_ADDR_SPEC + 10

_LETTERS_DIGITS = frozenset(string.ascii_letters + string.digits)

#: `atext` of RFC 5322 section 3.2.3 and the dot between atoms, but for ! and %: by
#: these an old relay sends to somebody else (`there!user`, `user%there`).
_LOCAL_PART = _LETTERS_DIGITS | frozenset("#$&'*+-/=?^_`{|}~.")

_LABEL = _LETTERS_DIGITS | {"-"}

#: `specials` of RFC 5322 section 3.2.3 but for the dot ("Acme Inc. <...>"): outside
#: quotes each of them begins something else than a name.
_SPECIALS = frozenset('()<>[]:;@\\,"')

#: Control characters, surrogates, line and paragraph separators.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})

#: They reorder what a reader sees. (Joiners stay: Persian and emoji need them.)
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

#: What a label of an internationalised domain is made of: RFC 5892 section 2.1.
_LABEL_CATEGORIES = frozenset({"Ll", "Lo", "Lm", "Mn", "Mc", "Nd"})

#: Valid in IDNA 2008 but changed by NFKC and case folding: RFC 5892 section 2.6.
_LABEL_EXCEPTIONS = frozenset("\u00df\u03c2\u06fd\u06fe\u0f0b\u3007")


def parse_address(text: str) -> Address:
    """Return the one mailbox that a text names.

    Args:
        text: ``local@domain``, ``<local@domain>`` or ``Name <local@domain>``; a name
            with any of ``()<>[]:;@,`` or quotes stands in double quotes. Spaces
            around it do not count.

    Returns:
        The domain in lower case and as A-labels (``xn--...``), whatever it was
        written in; the local part as it was written.

    Raises:
        InvalidAddressError: It is anything else. The message says what is wrong and
            shows nothing of the text.

    See Also:
        RFC 5321 section 4.1.2 (dot-string), RFC 5322 section 3.4, RFC 5890.

    Examples:
        >>> parse_address("Ada <ada@Example.com>")
        Address(addr_spec='ada@example.com', display_name='Ada')
    """
    if len(text) > LONGEST_TEXT:
        raise InvalidAddressError(
            f"must be at most {LONGEST_TEXT} characters long, got {len(text)}",
        )
    _refuse_controls(text)
    text = text.strip(" ")
    if text.startswith('"'):
        name, rest = _quoted_name(text)
    elif text.endswith(">"):
        name, rest = _plain_name(text)
    else:
        return Address(addr_spec=_addr_spec(text))
    if len(name) > LONGEST_DISPLAY_NAME:
        raise InvalidAddressError(
            f"the name must be at most {LONGEST_DISPLAY_NAME} characters long, "
            f"got {len(name)}",
        )
    if "=?" in name:
        # An encoded word of RFC 2047, which a reader of mail might decode to another
        # name, or to an address that is not the one behind it.
        raise InvalidAddressError(
            "the name must be written as it is, not encoded: it must not hold =?",
        )
    if not (rest.startswith("<") and rest.endswith(">")):
        raise InvalidAddressError("after a name must come one <local@domain>")
    return Address(addr_spec=_addr_spec(rest[1:-1]), display_name=name)


def format_address(address: Address) -> str:
    """Return the text that `parse_address` reads as this address.

    The name is quoted where it must be and not encoded for a header: that is for
    whoever writes one.

    Examples:
        >>> format_address(Address(addr_spec="a@b.cd", display_name="Doe, Jane"))
        '"Doe, Jane" <a@b.cd>'
    """
    name = address.display_name
    if not name:
        return address.addr_spec
    # Outside of quotes several spaces are one: RFC 5322 section 3.2.5.
    if name != " ".join(name.split()) or not _SPECIALS.isdisjoint(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        name = f'"{escaped}"'
    return f"{name} <{address.addr_spec}>"


def ascii_domain(domain: str) -> str:
    """Return a domain in lower case and as A-labels.

    Names of letters, marks and digits become what IDNA 2008 makes of them (RFC
    5891); the few names with joiners or middle dots are refused. The rules of
    direction are not looked at, so that a name may pass that no registry would take.
    Nothing is looked up.

    Raises:
        InvalidAddressError: It is no domain of the public DNS: no dot, an empty or
            overlong label, a character that no name has, or an IP address.
    """
    labels = [_ascii_label(label) for label in domain.split(".")]
    if len(labels) < 2:
        raise InvalidAddressError("the domain must have a dot")
    if labels[-1].isdigit():
        raise InvalidAddressError("the domain must be a name, not an IP address")
    name = ".".join(labels)
    if len(name) > LONGEST_DOMAIN:
        raise InvalidAddressError(
            f"the domain must be at most {LONGEST_DOMAIN} bytes long, got {len(name)}",
        )
    return name


def _refuse_controls(text: str) -> None:
    if text.isascii() and text.isprintable():
        return  # as nearly all are
    for char in text:
        if (
            unicodedata.category(char) in _FORBIDDEN_CATEGORIES
            or char in _BIDI_CONTROLS
        ):
            raise InvalidAddressError(
                f"must not hold control characters, got U+{ord(char):04X}",
            )


def _quoted_name(text: str) -> tuple[str, str]:
    """Split `"name" <rest>` at the end of the quotes."""
    name: list[str] = []
    chars = enumerate(text)
    next(chars)
    for index, char in chars:
        if char == '"':
            return "".join(name), text[index + 1 :].strip(" ")
        if char == "\\":
            _, char = next(chars, (0, ""))  # noqa: PLW2901 - the escaped one counts
        name.append(char)
    raise InvalidAddressError("a quote must be closed")


def _plain_name(text: str) -> tuple[str, str]:
    """Split `name <rest>` at the first angle bracket."""
    name, bracket, rest = text.partition("<")
    if not _SPECIALS.isdisjoint(name):
        raise InvalidAddressError(
            "must be one address; a name with any of ()<>[]:;@,\\ or quotes must "
            "stand in double quotes",
        )
    return name.strip(" "), bracket + rest


def _addr_spec(text: str) -> str:
    local_part, at, domain = text.rpartition("@")
    if not at:
        raise InvalidAddressError("must be local@domain, got no @")
    _check_local_part(local_part)
    addr_spec = f"{local_part}@{ascii_domain(domain)}"
    if len(addr_spec) > LONGEST_ADDR_SPEC:
        raise InvalidAddressError(
            f"must be at most {LONGEST_ADDR_SPEC} bytes long, got {len(addr_spec)}",
        )
    return addr_spec


def _check_local_part(local_part: str) -> None:
    if not local_part:
        raise InvalidAddressError("something must stand before the @")
    if not local_part.isascii():
        # It needs SMTPUTF8 (RFC 6531) on the whole way, which few providers offer.
        raise InvalidAddressError(
            "only ASCII may stand before the @: providers do not carry other "
            "characters there (SMTPUTF8)",
        )
    if len(local_part) > LONGEST_LOCAL_PART:
        raise InvalidAddressError(
            f"at most {LONGEST_LOCAL_PART} bytes may stand before the @, "
            f"got {len(local_part)}",
        )
    if not _LOCAL_PART.issuperset(local_part):
        raise InvalidAddressError(
            "must be one plain local@domain: only letters, digits, dots and "
            "#$&'*+-/=?^_`{|}~ may stand before the @",
        )
    if "=?" in local_part and "?=" in local_part:
        raise InvalidAddressError("no encoded word may stand before the @")
    if "" in local_part.split("."):
        raise InvalidAddressError(
            "before the @ dots must stand one at a time and between other characters",
        )


def _ascii_label(label: str) -> str:
    if not label:
        raise InvalidAddressError("the domain must not have empty parts")
    # An A-label has a character for each of the label's, composed from four at most.
    if len(label) <= 4 * LONGEST_LABEL and not label.isascii():
        label = _a_label(label)
    if len(label) > LONGEST_LABEL:
        raise InvalidAddressError(
            f"a part of the domain must be at most {LONGEST_LABEL} bytes long, "
            f"got {len(label)}",
        )
    if not _LABEL.issuperset(label) or label.startswith("-") or label.endswith("-"):
        raise InvalidAddressError(
            "the domain must be made of letters, digits and inner hyphens",
        )
    label = label.lower()
    if label[2:4] == "--" and not label.startswith("xn--"):
        # Reserved (RFC 5890 section 2.3.1): no registry gives such a name out.
        raise InvalidAddressError(
            "a part of the domain must not have two hyphens as its third and fourth "
            "character",
        )
    return label


def _a_label(label: str) -> str:
    """Return the A-label of a label, by IDNA 2008 (RFC 5891 section 5).

    The standard library's codec is IDNA 2003, which turns the German sharp s into
    "ss": another domain, that may belong to somebody else.
    """
    label = unicodedata.normalize("NFC", label.lower())
    for char in label:
        if char in _LABEL_EXCEPTIONS or (char.isascii() and char in _LABEL):
            continue
        if (
            unicodedata.category(char) not in _LABEL_CATEGORIES
            or unicodedata.normalize("NFKC", char.casefold()) != char
        ):
            raise InvalidAddressError(
                f"the domain must not hold the character U+{ord(char):04X}",
            )
    if unicodedata.category(label[0]).startswith("M") or label[2:4] == "--":
        raise InvalidAddressError(
            "a part of the domain must not begin with a combining mark or have two "
            "hyphens as its third and fourth character",
        )
    return "xn--" + label.encode("punycode").decode("ascii")
