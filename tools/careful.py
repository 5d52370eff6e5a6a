"""How nbgrader runs a submission here: what hangs, dies or prints without end loses its own points and no others.

nbgrader's own preprocessor interrupts a cell that takes too long. This one goes on where that is not enough.
"""

import json

from jupyter_core.utils import run_sync
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from nbgrader.utils import is_grade, is_solution

ENDS = (CellTimeoutError, DeadKernelError)
NOT_RUN = "skip-execution"  # nbclient's tag for a cell that is shown as it was handed in


class Room:
    """What one cell may leave behind: characters of text, and characters of pictures (2 MB as base64)."""

    def __init__(self, text=100_000, pictures=2_700_000):
        self.left = {"text": text, "pictures": pictures}

    def take(self, output):
        """What of `output`, a message's content or an output, fits: all of it, a text that was cut, or None."""
        data = output.get("data", {})
        what = "pictures" if any(kind.startswith("image/") for kind in data) else "text"
        before, size = self.left[what], len(json.dumps(data)) if data else len(output.get("text", ""))
        self.left[what] = before - size
        if self.left[what] >= 0:
            return output
        if before < 0:
            return None
        said = "... this cell printed more than 100000 characters, or showed more than 2 MB; the rest was dropped\n"
        text = output.get("text") or (data.get("text/plain", "") if what == "text" else "")
        return f"{text[:before]}\n{said}"


def within_room(outputs):
    """The outputs of a cell as it was handed in, up to what a cell may leave behind."""
    room, kept = Room(), []
    for output in outputs:
        taken = room.take(output)
        if taken is not None:
            kept.append(new_output("stream", text=taken) if isinstance(taken, str) else output)
    return kept


class CarefulExecute(Execute):
    """Runs every cell, with a limit on what a cell may leave behind, and a new kernel where the old one is lost."""

    def preprocess(self, nb, resources=None, km=None):
        self.ran, self.lost, self.rooms = [], None, {}
        self.timeout_func = lambda cell: max(600, self.timeout) if cell.get("id") == "setup" else self.timeout
        return super().preprocess(nb, resources, km)

    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type != "code" or NOT_RUN in cell.metadata.get("tags", []):
            return cell, resources
        if is_grade(cell) and self.lost:
            cell.outputs = [_error(self.lost, "The answer's cell did not come to an end, so it was not asked.")]
            return cell, resources
        if is_solution(cell):
            self.lost = None
        ended = None
        try:
            cell, resources = super().preprocess_cell(cell, resources, index)
        except ENDS as error:
            ended = type(error).__name__
            cell.outputs.append(_error(ended, "The kernel was lost here, and a new one was started."))
            self.start_again()
        for output in cell.outputs:
            if output.get("ename") == "CellTimeoutError":
                ended = "CellTimeoutError"
                output["evalue"] = output["evalue"] or f"it was stopped after {self.timeout_func(cell)} seconds"
        if ended and is_solution(cell):
            self.lost = ended
        elif not ended and not is_grade(cell):
            self.ran.append((index, cell))
        return cell, resources

    def start_again(self):
        """A new kernel in which every cell that came to an end has run once more: their names are known again."""
        self.kc.stop_channels()
        run_sync(self.km.restart_kernel)(now=True)
        self.start_new_kernel_client()
        for index, cell in self.ran:
            self.rooms.pop(index, None)
            self.execute_cell(cell, index)

    def process_message(self, msg, cell, cell_index):
        """Keep of a cell's output what is within the limit, and say once that there was more."""
        if msg["msg_type"] == "clear_output":
            self.rooms.pop(cell_index, None)
        if msg["msg_type"] in ("stream", "display_data", "execute_result"):
            taken = self.rooms.setdefault(cell_index, Room()).take(msg["content"])
            if taken is None:
                return None
            if isinstance(taken, str):  # nbformat reads the type in the header
                kind = {"msg_type": "stream", "header": {**msg["header"], "msg_type": "stream"}}
                msg = {**msg, **kind, "content": {"name": "stdout", "text": taken}}
        return super().process_message(msg, cell, cell_index)


def _error(name, text):
    return new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])
