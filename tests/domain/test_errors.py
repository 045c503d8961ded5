"""The tree of exceptions is as its module draws it."""

import inspect
import re

from postroom.domain import errors
from postroom.domain.errors import (
    InvalidAddressError,
    PostroomError,
    SettingsError,
    StorageUnsureError,
    UnbuildableError,
    UncarriableError,
)


def test_every_exception_is_drawn_and_exported() -> None:
    classes = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }

    drawn = set(re.findall(r"\b\w+Error\b", errors.__doc__ or ""))

    assert classes == set(errors.__all__)
    assert classes <= drawn


def test_a_wrong_value_is_a_value_error_too() -> None:
    assert issubclass(InvalidAddressError, ValueError)


def test_no_handler_of_ours_swallows_a_settings_error() -> None:
    error = SettingsError(("A is wrong", "B is missing"))

    assert not isinstance(error, PostroomError)
    assert error.faults == ("A is wrong", "B is missing")
    assert str(error) == "settings: A is wrong; B is missing"


def test_an_error_that_carries_a_fact_has_a_field_for_it() -> None:
    assert UnbuildableError("no", field="headers").field == "headers"
    assert StorageUnsureError("no", email_id="1").email_id == "1"
    assert UncarriableError({"alpha": "too_large"}).reasons == {"alpha": "too_large"}
    assert "alpha: too_large" in str(UncarriableError({"alpha": "too_large"}))
