"""How nbgrader runs a submission here: what hangs, dies or prints without end loses its own points and no others.

nbgrader's own preprocessor interrupts a cell that takes too long. This one goes on where that is not enough.
"""

import json

from jupyter_core.utils import run_sync
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from nbgrader.utils import is_grade
from traitlets import Integer

ENDS = (CellTimeoutError, DeadKernelError)


class CarefulExecute(Execute):
    """Runs every cell, with a limit on what a cell may leave behind, and a new kernel where the old one is lost."""

    max_output = Integer(100_000, help="characters that a cell may print or show; the rest is dropped").tag(config=True)

    def preprocess(self, nb, resources=None, km=None):
        self.ran, self.lost, self.printed = [], None, {}
        self.timeout_func = lambda cell: max(600, self.timeout) if cell.get("id") == "setup" else self.timeout
        return super().preprocess(nb, resources, km)

    def preprocess_cell(self, cell, resources, index):
        if is_grade(cell) and self.lost:
            cell.outputs = [_error(self.lost, "The answer's cell did not come to an end, so it was not asked.")]
            return cell, resources
        if cell.cell_type == "code" and not is_grade(cell):
            self.lost = None
        try:
            cell, resources = super().preprocess_cell(cell, resources, index)
        except ENDS as error:
            cell.outputs.append(_error(type(error).__name__, "The kernel was lost here, and a new one was started."))
            self.lost = type(error).__name__
            self.start_again()
            return cell, resources
        if any(output.get("ename") == "CellTimeoutError" for output in cell.get("outputs", [])):
            self.lost = "CellTimeoutError"
        elif cell.cell_type == "code" and not is_grade(cell):
            self.ran.append((index, cell))
        return cell, resources

    def start_again(self):
        """A new kernel in which every cell that came to an end has run once more: their names are known again."""
        self.kc.stop_channels()
        run_sync(self.km.restart_kernel)(now=True)
        self.start_new_kernel_client()
        for index, cell in self.ran:
            self.printed[index] = 0
            self.execute_cell(cell, index)

    def process_message(self, msg, cell, cell_index):
        """Keep of a cell's output what is within the limit, and say once that there was more."""
        if msg["msg_type"] in ("stream", "display_data", "execute_result"):
            content = msg["content"]
            before = self.printed.get(cell_index, 0)
            size = len(content["text"]) if msg["msg_type"] == "stream" else len(json.dumps(content.get("data", {})))
            self.printed[cell_index] = before + size
            if before > self.max_output:
                return None
            if before + size > self.max_output:
                kept = content.get("text", "")[: self.max_output - before]
                said = f"{kept}\n... this cell printed or showed more than {self.max_output} characters; the rest was dropped\n"
                msg = {**msg, "msg_type": "stream", "content": {"name": "stdout", "text": said}}
        return super().process_message(msg, cell, cell_index)


def _error(name, text):
    return new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])
