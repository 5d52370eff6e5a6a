"""How nbgrader is set for this course: `make grade` reads it, and nbgrader's own commands do with `--config=` this file."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # careful.py

c = get_config()  # noqa: F821 (nbgrader gives it)

# The stubs stand in the notebooks already, so nothing is cleared but hidden tests.
c.GenerateAssignment.preprocessors = [
    f"nbgrader.preprocessors.{name}"
    for name in ("LockCells", "ClearOutput", "CheckCellMetadata", "ComputeChecksums", "SaveCells",
                 "ClearHiddenTests", "ComputeChecksums", "CheckCellMetadata")
]  # fmt: skip
# Outputs are cleared by submissions.py, which keeps those of the cells that are not run.
c.Autograde.sanitize_preprocessors = [
    f"nbgrader.preprocessors.{name}"
    for name in ("DeduplicateIds", "OverwriteKernelspec", "OverwriteCells", "CheckCellMetadata")
]
c.Autograde.autograde_preprocessors = [
    "careful.CarefulExecute",
    *(
        f"nbgrader.preprocessors.{name}"
        for name in ("LimitOutput", "SaveAutoGrades", "AssignLatePenalties", "CheckCellMetadata")
    ),
]
c.OverwriteCells.add_missing_cells = True
c.CarefulExecute.timeout = 120  # seconds a cell
c.CarefulExecute.iopub_timeout = 10
c.CarefulExecute.extra_arguments = ["--HistoryManager.hist_file=:memory:", "--log-level=ERROR"]
c.LimitOutput.max_lines = 200
c.ExecutePreprocessor.kernel_name = "python3"
