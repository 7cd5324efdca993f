import pytest

pytest.register_assert_rewrite("tests.faults.either", "tests.faults.installation")
