"""The puzzles that come with this project, from easy to hard.

Each is a checker whose first argument is the answer; its docstring is what a solver is told. A
function of the same name with `_credit` behind it, where there is one, says how near an answer is
that does not satisfy the checker. They are executed as text, one at a time, with the builtins of
`environments.puzzles.language` and nothing else.
"""

# ruff: noqa: RUF007  (a checker can import nothing, itertools.pairwise included)
from __future__ import annotations

# Easy: a line of code is enough.


def mirror(text: str) -> bool:
    """Find a text of 11 characters that reads the same backwards, of 4 different characters."""
    return len(text) == 11 and text == text[::-1] and len(set(text)) == 4


def mirror_credit(text: str) -> float:
    same = sum(a == b for a, b in zip(text, reversed(text), strict=True))
    return (same / max(len(text), 11) + (len(text) == 11) + (len(set(text)) == 4)) / 3


def countdown(numbers: list[int]) -> bool:
    """Find 20 numbers, each 3 less than the one before, of which the last is 4."""
    steps = all(a - b == 3 for a, b in zip(numbers, numbers[1:], strict=False))
    return len(numbers) == 20 and steps and numbers[-1] == 4


def countdown_credit(numbers: list[int]) -> float:
    steps = sum(a - b == 3 for a, b in zip(numbers, numbers[1:], strict=False))
    return (min(steps, 19) + (numbers[-1:] == [4])) / max(20, len(numbers))


def remainders(number: int) -> bool:
    """Find a number above 0 that leaves 3 when divided by 7, 5 by 11, and 8 by 13."""
    return number > 0 and number % 7 == 3 and number % 11 == 5 and number % 13 == 8


def remainders_credit(number: int) -> float:
    return ((number % 7 == 3) + (number % 11 == 5) + (number % 13 == 8)) / 3


def staircase(rows: list[str]) -> bool:
    """Find 6 lines of 6 characters: line i has i + 1 signs '#' at its end, and spaces before."""
    return rows == [" " * (5 - i) + "#" * (i + 1) for i in range(6)]


def staircase_credit(rows: list[str]) -> float:
    wanted = [" " * (5 - i) + "#" * (i + 1) for i in range(6)]
    return sum(a == b for a, b in zip(rows, wanted, strict=False)) / max(6, len(rows))


def rhythm(beats: list[bool]) -> bool:
    """Find 30 beats, half of them True, with no three alike in a row."""
    rows = zip(beats, beats[1:], beats[2:], strict=False)
    return len(beats) == 30 and sum(beats) == 15 and not any(a == b == c for a, b, c in rows)


def root(number: float) -> bool:
    """Find a number x where x * x * x - x - 1 is 0, to nine digits behind the point."""
    return abs(number * number * number - number - 1) < 1e-9


def root_credit(number: float) -> float:
    return 1 / (1 + abs(number * number * number - number - 1))


def tally(counts: dict[str, int]) -> bool:
    """Count each letter of "never odd or even", as {"n": 2, ...}, without the spaces."""
    phrase = "never odd or even".replace(" ", "")
    return counts == {letter: phrase.count(letter) for letter in set(phrase)}


def tally_credit(counts: dict[str, int]) -> float:
    phrase = "never odd or even".replace(" ", "")
    right = sum(counts[letter] == phrase.count(letter) for letter in set(phrase) & set(counts))
    return right / max(len(set(phrase)), len(counts))


def change(coins: list[int]) -> bool:
    """Find at most 4 coins of 1, 7, 10 or 23 that make 60."""
    return len(coins) <= 4 and set(coins) <= {1, 7, 10, 23} and sum(coins) == 60


def change_credit(coins: list[int]) -> float:
    good = [coin for coin in coins if coin in (1, 7, 10, 23)][:4]
    return len(good) / max(len(coins), 1) / (1 + abs(sum(good) - 60))


# Middling: takes some thought, or a loop that tries.


def fractions(denominators: list[int]) -> bool:
    """Find 5 different whole numbers above 1 whose reciprocals have the sum 1."""
    if len(set(denominators)) != 5 or len(denominators) != 5 or min(denominators) < 2:
        return False
    product = 1
    for number in denominators:
        product *= number
    return sum(product // number for number in denominators) == product


def golomb(marks: list[int]) -> bool:
    """Find 6 marks on a ruler, from 0 upwards to 17, with a different distance for each pair."""
    if len(marks) != 6 or marks[0] != 0 or marks[-1] != 17:
        return False
    gaps = [b - a for i, a in enumerate(marks) for b in marks[i + 1 :]]
    return min(gaps) > 0 and len(set(gaps)) == 15


def golomb_credit(marks: list[int]) -> float:
    few = marks[:30]
    gaps = {b - a for i, a in enumerate(few) for b in few[i + 1 :] if 0 < b - a <= 17}
    ends = (marks[:1] == [0]) + (marks[-1:] == [17])
    return (min(len(gaps), 15) / 15 + ends / 2) / 2 * 6 / max(6, len(marks))


def squares(numbers: list[int]) -> bool:
    """Order the numbers from 1 to 15 so that neighbours always add up to a square number."""
    pairs = zip(numbers, numbers[1:], strict=False)
    return sorted(numbers) == list(range(1, 16)) and all(a + b in (4, 9, 16, 25) for a, b in pairs)


def squares_credit(numbers: list[int]) -> float:
    pairs = zip(numbers, numbers[1:], strict=False)
    good = {(a, b) for a, b in pairs if a + b in (4, 9, 16, 25) and 0 < a < 16 and 0 < b < 16}
    return len(good) / 14 * min(1, len(set(numbers)) / max(15, len(numbers)))


def queens(columns: list[int]) -> bool:
    """Place 8 queens that do not attack each other, one per row: the column of each, 0 to 7."""
    if sorted(columns) != list(range(8)):
        return False
    falling = {row + column for row, column in enumerate(columns)}
    rising = {row - column for row, column in enumerate(columns)}
    return len(falling) == len(rising) == 8


def queens_credit(columns: list[int]) -> float:
    few = [(row, column) for row, column in enumerate(columns[:8]) if 0 <= column < 8]
    falling = {row + column for row, column in few}
    rising = {row - column for row, column in few}
    total = len({column for _, column in few}) + len(falling) + len(rising)
    return total / 24 * 8 / max(8, len(columns))


def magic(square: list[list[int]]) -> bool:
    """Find a 3 by 3 square of the numbers 1 to 9 whose rows, columns and diagonals add up to 15."""
    if [len(row) for row in square] != [3, 3, 3]:
        return False
    flat = [number for row in square for number in row]
    columns = [flat[i::3] for i in range(3)]
    lines = [*square, *columns, flat[::4], flat[2:8:2]]
    return sorted(flat) == list(range(1, 10)) and all(sum(line) == 15 for line in lines)


def magic_credit(square: list[list[int]]) -> float:
    if [len(row) for row in square] != [3, 3, 3]:
        return 0.0
    flat = [number for row in square for number in row]
    columns = [flat[i::3] for i in range(3)]
    lines = [*square, *columns, flat[::4], flat[2:8:2]]
    distinct = len(set(flat) & set(range(1, 10)))
    return (distinct / 9 + sum(sum(line) == 15 for line in lines) / 8) / 2


def colours(vertices: list[int]) -> bool:
    """Colour Petersen's graph with the colours 0, 1, 2, so that no edge joins two alike.

    Vertices 0 to 4 form a ring, vertex i is joined to i + 5, and vertices 5 to 9 form a star:
    5-7, 7-9, 9-6, 6-8, 8-5.
    """
    ring = [(i, (i + 1) % 5) for i in range(5)]
    star = [(5, 7), (7, 9), (9, 6), (6, 8), (8, 5)]
    edges = ring + [(i, i + 5) for i in range(5)] + star
    return (
        len(vertices) == 10
        and set(vertices) <= {0, 1, 2}
        and all(vertices[a] != vertices[b] for a, b in edges)
    )


def colours_credit(vertices: list[int]) -> float:
    few = dict(enumerate(vertices[:10]))
    ring = [(i, (i + 1) % 5) for i in range(5)]
    star = [(5, 7), (7, 9), (9, 6), (6, 8), (8, 5)]
    edges = ring + [(i, i + 5) for i in range(5)] + star
    painted = [(few.get(a), few.get(b)) for a, b in edges]
    good = sum(a != b and a in (0, 1, 2) and b in (0, 1, 2) for a, b in painted)
    return good / 15 * 10 / max(10, len(vertices))


def steps(number: int) -> bool:
    """Find a number from 1 to 999 that takes more than 115 steps down to 1.

    A step halves an even number, and takes an odd one times 3 plus 1.
    """
    count = 0
    while 1 < number < 1000000 and count < 500 and (count or number < 1000):
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        count += 1
    return number == 1 and count > 115


def apart(row: list[int]) -> bool:
    """Order 1, 1, 2, 2, 3, 3, 4, 4 so that k other numbers stand between the two k."""
    if sorted(row) != [1, 1, 2, 2, 3, 3, 4, 4]:
        return False
    return all(row[row.index(k) + k + 1 : row.index(k) + k + 2] == [k] for k in range(1, 5))


def apart_credit(row: list[int]) -> float:
    held = [k for k in range(1, 5) if row.count(k) == 2]
    right = [k for k in held if row[row.index(k) + k + 1 : row.index(k) + k + 2] == [k]]
    return (len(held) + len(right)) / 8 * 8 / max(8, len(row))


# Hard: takes a search, or knowing how.


def ring(bits: str) -> bool:
    """Find a ring of 32 digits '0' and '1' that holds each word of 5 digits exactly once.

    The ring closes: behind its last digit comes its first one again.
    """
    words = {(bits + bits[:4])[i : i + 5] for i in range(32)}
    return len(bits) == 32 and set(bits) == {"0", "1"} and len(words) == 32


def ring_credit(bits: str) -> float:
    if not bits or not set(bits) <= {"0", "1"}:
        return 0.0
    few = bits[:320]
    words = {(few + few[:4])[i : i + 5] for i in range(len(few))}
    return len(words) / max(32, len(bits))


def autobiography(digits: str) -> bool:
    """Find 10 digits of which the first counts the zeros among them, the second the ones, ..."""
    return len(digits) == 10 and digits == "".join(str(digits.count(d)) for d in "0123456789")


def autobiography_credit(digits: str) -> float:
    counts = [str(digits.count(d)) for d in "0123456789"]
    return sum(a == b for a, b in zip(digits, counts, strict=False)) / max(10, len(digits))


def sums(groups: list[list[int]]) -> bool:
    """Share the numbers 1 to 13 among 3 groups, none of which holds a, b and also a + b.

    a and b may be the same number.
    """
    if len(groups) != 3 or sorted(n for group in groups for n in group) != list(range(1, 14)):
        return False
    return not any(a + b in group for group in groups for a in group for b in group)


def sums_credit(groups: list[list[int]]) -> float:
    few = [group[:13] for group in groups[:3]]
    bad = {a + b for group in few for a in group for b in group if a + b in group}
    placed = [n for group in few for n in group if 0 < n < 14 and n not in bad]
    total = sum(len(group) for group in groups)
    return len(set(placed)) / max(13, total)


def hanoi(moves: list[list[int]]) -> bool:
    """Move a tower of 4 discs from peg 0 to peg 2 in 15 moves, each [from peg, to peg].

    Peg 0 holds the discs 4, 3, 2, 1 from the bottom upwards. No disc may lie on a smaller one.
    """
    pegs = [[4, 3, 2, 1], [], []]
    for start, end in moves:
        if not 0 <= start < 3 or not 0 <= end < 3 or not pegs[start]:
            return False
        disc = pegs[start].pop()
        if pegs[end] and pegs[end][-1] < disc:
            return False
        pegs[end].append(disc)
    return len(moves) == 15 and pegs[2] == [4, 3, 2, 1]


def hanoi_credit(moves: list[list[int]]) -> float:
    pegs = [[4, 3, 2, 1], [], []]
    best = 0.0
    for move in moves[:15]:
        if len(move) != 2 or not set(move) <= {0, 1, 2} or not pegs[move[0]]:
            break
        disc = pegs[move[0]].pop()
        if pegs[move[1]] and pegs[move[1]][-1] < disc:
            break
        pegs[move[1]].append(disc)
        standing = [4, 3, 2, 1][: len(pegs[2])] == pegs[2]
        best = max(best, len(pegs[2]) / 4 if standing else 0.0)
    return best


def knight(path: list[list[int]]) -> bool:
    """Lead a knight over a board of 5 by 5 squares, onto each of them once.

    The answer lists the 25 squares in their order, as [row, column], each from 0 to 4.
    """
    places = {(row, column) for row, column in path}
    jumps = zip(path, path[1:], strict=False)
    return (
        len(path) == 25
        and places == {(row, column) for row in range(5) for column in range(5)}
        and all({abs(a[0] - b[0]), abs(a[1] - b[1])} == {1, 2} for a, b in jumps)
    )


def knight_credit(path: list[list[int]]) -> float:
    seen: list[tuple[int, ...]] = []
    for square in path[:25]:
        place = tuple(square)
        if len(place) != 2 or not set(place) <= {0, 1, 2, 3, 4} or place in seen:
            break
        if seen and {abs(place[0] - seen[-1][0]), abs(place[1] - seen[-1][1])} != {1, 2}:
            break
        seen.append(place)
    return len(seen) / max(25, len(path))
