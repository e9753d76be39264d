"""What all tests share."""

import os

# One thread each: on a busy two-core machine OpenMP's barriers cost more than the second thread brings.
os.environ.setdefault("OMP_NUM_THREADS", "1")
