# SPDX-License-Identifier: Apache-2.0
"""What both scripts share: counting, and the limit of a comparison."""
import numpy as np

LIMIT = 2e-6  # of the largest logit


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def note(self, what, good, figure):
        self.passed += good
        self.failed += not good
        print(f'{"ok  " if good else "FAIL"} {what}: {figure}')

    def compare(self, what, compute):
        """compute() gives what was found and what it must be."""
        try:
            found, expected = compute()
            error = np.abs(found - expected).max() / np.abs(expected).max()
            self.note(what, error <= LIMIT, f'{error:.2e} of the largest logit')
        except Exception as problem:  # one broken file must not hide the others
            self.note(what, False, problem)

    def expect_refused(self, what, done, words):
        self.note(what, done.returncode == 1 and words in done.stderr, done.stderr.strip())

    def close(self):
        """Prints the last line; the exit code."""
        print(f'{self.passed} passed, {self.failed} failed')
        return int(self.failed > 0)
