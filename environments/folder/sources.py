"""The modules of a folder as text: which function scores, what is imported, who may see what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath

from environments.folder.imports import Import, imports, lacking, own_modules, reached, to_preload
from environments.folder.reading import Contents

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Sources:
    """What the Python files of a folder say about how it wants to be run.

    Attributes:
        trees: syntax trees by file.
        scorer: the file with `score(solution)`; "" where the program is not scored apart.
        style: "solve" where it is; else how the evaluator is called: "stages", "evaluate", "main".
        imports: of all files that program and evaluator load.
        own: names that modules of the folder may have.

    Args:
        contents: the folder.
        cascade: whether an evaluator's stages are to be used.

    Raises:
        ValueError: for a file that does not parse, an evaluator without a function to call, or a
            module that is not installed, with file and line.
    """

    def __init__(self, contents: Contents, *, cascade: bool) -> None:
        self._contents, self._cascade = contents, cascade
        self._entry = self.at(next(iter(contents.program)))
        self.trees = dict(self._parse())
        self.scorer = self._find_scorer()
        self.style = self._find_style()
        self.imports = self._find_imports()
        self.own = own_modules([*contents.files, *map(self.at, contents.program)])
        if (absent := lacking(self.imports, self.own)) is not None:
            raise ValueError(
                f"path: {contents.home / absent.file}, line {absent.line}: module "
                f"{absent.module!r} is not installed: pip install {absent.root}"
            )

    def preload(self) -> tuple[str, ...]:
        """Installed modules that every evaluation would import."""
        return to_preload(self.imports, self.own)

    def scoring(self) -> str:
        """The file whose function scores."""
        return self.scorer or self._contents.evaluator

    def modules(self) -> dict[str, str]:
        """Texts of what `score` needs, by the names under which it imports them."""
        found = {}
        home = PurePosixPath(self.scorer).parent
        for file in reached(self.scorer, self.trees):
            path = PurePosixPath(file)
            if path.is_relative_to(home):
                path = path.relative_to(home)
            parts = path.with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = self.text(file)
        return found

    def at(self, name: str) -> str:
        """A file of the program, as the folder names it."""
        return str(PurePosixPath(self._contents.place, name))

    def text(self, file: str) -> str:
        """A file of program or folder, as the folder names it."""
        for name, text in self._contents.program.items():
            if self.at(name) == file:
                return text
        return self._contents.text(file)

    def _parse(self) -> Iterator[tuple[str, ast.Module]]:
        """Syntax trees of evaluator and program, and of what else can be parsed."""
        needed = {self._contents.evaluator, *map(self.at, self._contents.program)}
        for file in (*map(self.at, self._contents.program), *self._contents.files):
            if file.endswith(".py"):
                try:
                    yield file, ast.parse(self.text(file))
                except (SyntaxError, ValueError, RecursionError) as error:
                    if file in needed:
                        line = getattr(error, "lineno", None)
                        place = f"{self._contents.home / file}" + (f", line {line}" if line else "")
                        reason = getattr(error, "msg", None) or error
                        raise ValueError(f"path: {place}: {reason}") from None

    def _defines(self, file: str, name: str) -> Function | None:
        for node in self.trees[file].body:
            if isinstance(node, Function) and node.name == name:
                return node
        return None

    def _find_scorer(self) -> str:
        """The file with `score(solution)`, "" where there is none or the program has no `solve`."""
        solve = self._defines(self._entry, "solve")
        if solve is None or not _takes(solve, 0):
            return ""
        home = PurePosixPath(self._contents.evaluator).parent
        for file in (self._contents.evaluator, str(home / "score.py")):
            score = self._defines(file, "score") if file in self.trees else None
            if score is not None and _takes(score, 1):
                return file
        return ""

    def _find_style(self) -> str:
        evaluator = self._contents.evaluator
        if self.scorer:
            return "solve"
        if self._cascade and self._defines(evaluator, "evaluate_stage1"):
            return "stages"
        if self._defines(evaluator, "evaluate"):
            return "evaluate"
        main = self._defines(evaluator, "main")
        if main is not None and len(main.args.posonlyargs + main.args.args) >= 2:
            return "main"
        if "evaluate" in _bound(self.trees[evaluator]):
            return "evaluate"
        wanted = "evaluate(program_path)"
        if self._defines(evaluator, "score"):
            wanted = "solve(), which score(solution) in the evaluator asks for"
            evaluator = self._entry
        raise ValueError(f"path: {self._contents.home / evaluator} defines no {wanted}")

    def _find_imports(self) -> list[Import]:
        """Of all files that are loaded, where they are loaded by the program's process."""
        starts = [self.at(name) for name in self._contents.program]
        starts.insert(0, self.scorer or self._contents.evaluator)
        files = dict.fromkeys(file for start in starts for file in reached(start, self.trees))
        return [one for file in files for one in imports(self.trees[file], file)]

    def visible(self) -> dict[str, bytes]:
        """What the program's jail holds: nothing of `score`, where that runs elsewhere."""
        files = self._contents.files
        if self.style != "solve":
            return files
        mine = {
            file for name in self._contents.program for file in reached(self.at(name), self.trees)
        } - {self.scorer, self._contents.evaluator}
        return {n: data for n, data in files.items() if n in mine or not n.endswith(".py")}

    def of(self, roots: frozenset[str]) -> list[Import]:
        """Imports by the side that scores."""
        program = set(map(self.at, self._contents.program))
        return [
            one
            for one in self.imports
            if {one.root, one.module} & roots and one.file not in program
        ]


def _takes(function: Function, count: int) -> bool:
    """Whether a function can be called with so many arguments in their order."""
    arguments = function.args
    if isinstance(function, ast.AsyncFunctionDef):
        return False
    most = len(arguments.posonlyargs) + len(arguments.args)
    named = any(default is None for default in arguments.kw_defaults)
    least = most - len(arguments.defaults)
    return not named and least <= count and (count <= most or arguments.vararg is not None)


def _bound(tree: ast.Module) -> set[str]:
    """Names that assignments and imports of a module bind."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names
