"""Decoding of Llama-architecture models, written for many short programs with common prompts.

What is done about the time: prompts that share their beginning are computed once (a *trunk* for
each group of siblings, and a *base* for all prompts of a run that is kept between calls); the
trunk's keys and values are read once for all its rows and merged with each row's own by their
log-sum-exp (the idea of Hydragen, Juravsky et al., 2024); query, key and value, and gate and up,
are one product each; norms' weights are folded into the products behind them; weights are laid
out once for the processor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from elm.models.trunks import Group, Layout

Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
NEVER = float("-inf")


def supports(config: Any) -> bool:
    """Whether a model of this configuration is one that `LlamaWeights` computes exactly.

    Mistral is a Llama that may look at a window of its past only, Qwen2 one whose queries, keys
    and values have a bias; the windows are not computed here.
    """
    windows = getattr(config, "layer_types", None) or ["full_attention"]
    if config.model_type == "mistral" and getattr(config, "sliding_window", None) is not None:
        return False
    return (
        config.model_type in ("llama", "mistral", "qwen2")
        and set(windows) == {"full_attention"}
        and config.hidden_act == "silu"
        and getattr(config, "quantization_config", None) is None
        and (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
        in ("default", "linear", "llama3")
    )


class _Linear:
    """y = x W^T + b with the weight laid out for the processor where oneDNN can do that."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, rows: int) -> None:
        self.weight, self.bias, self.packed = weight, bias, False
        if weight.device.type == "cpu" and torch.backends.mkldnn.is_available():
            try:
                self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
                self.packed = True
            except (AttributeError, RuntimeError):
                self.weight = weight  # this build or this type cannot; the plain product does

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.packed:
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return F.linear(x, self.weight, self.bias)


class _Part(NamedTuple):
    """A share of a joined product."""

    weight: torch.Tensor
    bias: torch.Tensor | None


class LlamaWeights:
    """The model itself: hidden states from tokens, given somebody who attends."""

    def __init__(self, model: Any, dtype: torch.dtype, device: torch.device, rows: int) -> None:
        config = model.config
        self.dtype, self.device = dtype, device
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_size = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.layers, self.size = config.num_hidden_layers, config.hidden_size
        self.epsilon = config.rms_norm_eps
        self._rotary = model.model.rotary_emb
        self._turns = torch.empty(0, self.head_size // 2, dtype=torch.complex64, device=device)

        def linear(parts: Sequence[Any], norm: torch.Tensor | None = None) -> _Linear:
            weight = torch.cat([part.weight.detach() for part in parts]).float()
            if norm is not None:
                weight = weight * norm.detach().float()
            bias = None
            if parts[0].bias is not None:
                bias = torch.cat([part.bias.detach() for part in parts]).to(device, dtype)
            return _Linear(weight.to(device, dtype).contiguous(), bias, rows)

        # Pairs that are turned together lie side by side, so that they are complex numbers.
        half = self.head_size // 2
        order = torch.arange(self.head_size).view(2, half).t().reshape(-1)

        def paired(layer: Any) -> Any:
            def turned(x: torch.Tensor) -> torch.Tensor:
                heads = x.detach().view(-1, self.head_size, *x.shape[1:])
                return heads[:, order].reshape(x.shape)

            bias = None if layer.bias is None else turned(layer.bias)
            return _Part(turned(layer.weight), bias)

        self.embedding = model.model.embed_tokens.weight.detach().to(device, dtype)
        self.qkv, self.out, self.gate_up, self.down = [], [], [], []
        for layer in model.model.layers:
            attention, mlp = layer.self_attn, layer.mlp
            parts = [paired(attention.q_proj), paired(attention.k_proj), attention.v_proj]
            self.qkv.append(linear(parts, layer.input_layernorm.weight))
            self.out.append(linear([attention.o_proj]))
            parts = [mlp.gate_proj, mlp.up_proj]
            self.gate_up.append(linear(parts, layer.post_attention_layernorm.weight))
            self.down.append(linear([mlp.down_proj]))
        self.head = linear([model.lm_head], model.model.norm.weight)

    def turns(self, positions: torch.Tensor, need: int) -> torch.Tensor:
        """Rotations (tokens, 1, head_size / 2) as complex numbers, of positions below `need`."""
        if need > len(self._turns):
            every = torch.arange(max(need, 2 * len(self._turns)), device=self.device)
            x = torch.zeros(1, device=self.device)
            cos, sin = self._rotary.to(self.device)(x, every.unsqueeze(0))
            half = self.head_size // 2
            self._turns = torch.complex(cos[0, :, :half].float(), sin[0, :, :half].float())
        return self._turns[positions].unsqueeze(1)

    def hidden(
        self, tokens: torch.Tensor, positions: torch.Tensor, end: int, attend: Attend
    ) -> torch.Tensor:
        """Hidden states (tokens, size) before the last norm, in float32.

        `end` is one more than the largest position: to look for it would mean to wait for the
        device.

        `attend(layer, q, k, v)` is given (tokens, heads, head_size) and returns the mixed values
        in the shape of q. The residual stream stays in float32 whatever the weights are.
        """
        turns, size = self.turns(positions, end), (self.size,)
        turned, count = self.heads + self.kv_heads, len(tokens)
        x = self.embedding[tokens].float()
        for layer in range(self.layers):
            h = F.rms_norm(x, size, eps=self.epsilon).to(self.dtype)
            qkv = self.qkv[layer](h).view(count, turned + self.kv_heads, self.head_size)
            pairs = qkv[:, :turned].float().view(count, turned, -1, 2)
            qk = torch.view_as_real(torch.view_as_complex(pairs) * turns).flatten(2)
            qk = qk.to(self.dtype)
            mixed = attend(layer, qk[:, : self.heads], qk[:, self.heads :], qkv[:, turned:])
            x += self.out[layer](mixed.reshape(count, -1))
            h = F.rms_norm(x, size, eps=self.epsilon).to(self.dtype)
            gate, up = self.gate_up[layer](h).chunk(2, dim=-1)
            x += self.down[layer](F.silu(gate) * up)
        return x

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(rows, vocabulary) in float32."""
        h = F.rms_norm(hidden, (self.size,), eps=self.epsilon).to(self.dtype)
        return self.head(h).float()


def attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mixed values and the log-sum-exp of the scores, for merging with another part.

    Args:
        q: (batch, heads, queries, size); k, v: (batch, heads, keys, size).
        mask: added to the scores, broadcast to (batch, heads, queries, keys), or None.

    Returns:
        (batch, heads, queries, size) in q's type and (batch, heads, queries) in float32.
    """
    if q.device.type == "cpu":
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, attn_mask=mask)
    scores = (q @ k.transpose(-1, -2)).float() / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores + mask
    total = scores.logsumexp(-1, keepdim=True)
    return (scores - total).exp().to(q.dtype) @ v, total.squeeze(-1)


def _cached(group: Group, known: int) -> list[int]:
    """Prompt tokens of each row that were computed for another. A trunk is its first longest
    row's, but for what is known of it."""
    payer = next(i for i, row in enumerate(group.rows) if row.shared == len(group.trunk))
    return [known if i == payer else row.shared for i, row in enumerate(group.rows)]


Memory = tuple[list[torch.Tensor], list[torch.Tensor]]  # keys and values of each layer


class LlamaEngine:
    """Runs one batch of rows from their prompts on; `elm.models.decoding` drives it."""

    def __init__(self, weights: LlamaWeights) -> None:
        self.w = weights
        self.cached: list[int] = []
        self.base_was_kept = False
        self._base: tuple[tuple[int, ...], Memory] | None = None

    # Prompts ---------------------------------------------------------------------------------

    def _segment(self, tokens: Sequence[int], before: Memory | None) -> tuple[torch.Tensor, Memory]:
        """Hidden states and memory of tokens that follow `before`, as (kv_heads, length, size)."""
        w, start = self.w, before[0][0].shape[1] if before else 0
        count, share = len(tokens), self.w.heads // self.w.kv_heads
        keys: list[torch.Tensor] = []
        values: list[torch.Tensor] = []
        ahead = torch.full((count, count), NEVER, dtype=w.dtype, device=w.device).triu(1)
        mask = torch.cat([torch.zeros(count, start, dtype=w.dtype, device=w.device), ahead], 1)
        # The query heads that share a key head stand one after the other along the queries.
        mask = mask.repeat(share, 1).view(1, 1, share * count, start + count)

        def attend(layer: int, q: Any, k: Any, v: Any) -> torch.Tensor:
            k, v = k.transpose(0, 1), v.transpose(0, 1)
            if before:
                k = torch.cat([before[0][layer], k], 1)
                v = torch.cat([before[1][layer], v], 1)
            keys.append(k)
            values.append(v)
            q = q.transpose(0, 1).reshape(w.kv_heads, share * count, w.head_size)
            mixed, _ = attention(q[None], k[None], v[None], mask)
            return mixed[0].reshape(w.heads, count, w.head_size).transpose(0, 1)

        places = torch.arange(start, start + count, device=w.device)
        x = w.hidden(torch.tensor(tokens, device=w.device), places, start + count, attend)
        return x, (keys, values)

    def _base_of(self, tokens: tuple[int, ...]) -> tuple[Memory | None, bool]:
        """Memory of what all prompts begin with, and whether it was there already.

        It is always computed alone, so that its bits do not depend on when it was.
        """
        if not tokens:
            return None, False
        if self._base and self._base[0] == tokens:
            return self._base[1], True
        self._base = (tokens, self._segment(tokens, None)[1])
        return self._base[1], False

    def _trunk(
        self, tokens: tuple[int, ...], skip: int, base: Memory | None
    ) -> tuple[torch.Tensor, Memory, int]:
        """Hidden states and memory of a trunk whose first `skip` tokens are the base, and how many
        of its tokens were computed before."""
        return *self._segment(tokens[skip:], base), 0

    def start(self, layout: Layout, room: int) -> torch.Tensor:
        """Takes in the prompts; returns the logits (rows, vocabulary) of their first new tokens."""
        w = self.w
        base, self.base_was_kept = self._base_of(layout.base)
        skip = len(layout.base)
        memories, finals = [], {}
        self.cached = []
        for g, group in enumerate(layout.groups):
            there = skip if g or self.base_was_kept else 0
            x, memory, known = self._trunk(group.trunk, skip, base)
            memories.append(memory)
            self.cached += _cached(group, max(there, known))
            for row in group.rows:
                if not row.rest:
                    finals[row.index] = x[row.shared - skip - 1]
        self._groups = list(layout.groups)
        self._stack_trunks(memories)
        self._own_start = max(len(row.rest) for group in layout.groups for row in group.rows)
        rows = [row for group in layout.groups for row in group.rows]
        count, length = len(rows), self._own_start + room
        shape = (count, w.kv_heads, length, w.head_size)
        self._keys = [torch.zeros(shape, dtype=w.dtype, device=w.device) for _ in range(w.layers)]
        self._values = [torch.zeros_like(keys) for keys in self._keys]
        self._hidden = torch.zeros(count, 1, 1, length, dtype=w.dtype, device=w.device)
        for i, row in enumerate(rows):
            self._hidden[i, ..., : self._own_start - len(row.rest)] = NEVER
        self._lengths = [row.length for row in rows]
        self._position = torch.tensor(self._lengths, device=w.device)
        self._column = self._own_start
        self._alive = list(range(count))
        for g, group in enumerate(layout.groups):
            self._rests(group, memories[g], finals, rows)
        self._regroup()
        return w.logits(torch.stack([finals[row.index] for row in rows]))

    def _rests(self, group: Group, memory: Memory, finals: dict[int, Any], rows: Any) -> None:
        """What a row's prompt holds beyond its trunk, row by row."""
        for row in group.rows:
            if not row.rest:
                continue
            before = (
                [k[:, : row.shared] for k in memory[0]],
                [v[:, : row.shared] for v in memory[1]],
            )
            x, (keys, values) = self._segment(row.rest, before)
            finals[row.index] = x[-1]
            i, columns = rows.index(row), slice(self._own_start - len(row.rest), self._own_start)
            for layer in range(self.w.layers):
                self._keys[layer][i, :, columns] = keys[layer][:, row.shared :]
                self._values[layer][i, :, columns] = values[layer][:, row.shared :]

    def _stack_trunks(self, memories: list[Memory]) -> None:
        w = self.w
        longest = max(memory[0][0].shape[1] for memory in memories)
        shape = (len(memories), w.kv_heads, longest, w.head_size)
        self._trunk_keys = [
            torch.zeros(shape, dtype=w.dtype, device=w.device) for _ in range(w.layers)
        ]
        self._trunk_values = [torch.zeros_like(keys) for keys in self._trunk_keys]
        for g, (keys, values) in enumerate(memories):
            for layer in range(w.layers):
                self._trunk_keys[layer][g, :, : keys[layer].shape[1]] = keys[layer]
                self._trunk_values[layer][g, :, : values[layer].shape[1]] = values[layer]

    # Rows ------------------------------------------------------------------------------------

    def _regroup(self) -> None:
        """Lays out which places of (groups, slots) the rows alive take."""
        w, share = self.w, self.w.heads // self.w.kv_heads
        alive, here = set(self._alive), 0
        places: list[int] = []
        members: list[list[Any]] = []
        for group in self._groups:
            kept = [r for i, r in enumerate(group.rows, here) if i in alive]
            here += len(group.rows)
            members.append(kept)
        used = [g for g, kept in enumerate(members) if kept]
        slots = max(len(kept) for kept in members)
        longest = max(row.shared for kept in members for row in kept)
        mask = torch.full((len(used), slots, share, longest), NEVER, device=w.device)
        for n, g in enumerate(used):
            mask[n, :, :, :1] = 0.0  # an empty slot must attend to something
            for s, row in enumerate(members[g]):
                mask[n, s, :, : row.shared] = 0.0
                places.append(n * slots + s)
        self._trunks_used = used
        self._slots = slots
        self._longest = longest
        self._trunk_mask = mask.view(len(used), 1, slots * share, longest).to(w.dtype)
        self._places = None
        if places != list(range(len(used) * slots)):
            self._places = torch.tensor(places, device=w.device)
        if len(used) < len(self._trunk_keys[0]):
            # Groups without rows are dropped, and later calls count the remaining ones.
            self._trunk_keys = [keys[used] for keys in self._trunk_keys]
            self._trunk_values = [values[used] for values in self._trunk_values]
        self._groups = [Group(self._groups[g].trunk, tuple(members[g])) for g in used]
        self._alive = list(range(len(places)))

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows only, in this order (rising)."""
        index = torch.tensor(rows, device=self.w.device)
        for layer in range(self.w.layers):
            self._keys[layer] = self._keys[layer][index]
            self._values[layer] = self._values[layer][index]
        self._hidden, self._position = self._hidden[index], self._position[index]
        self._lengths = [self._lengths[i] for i in rows]
        self._alive = list(rows)
        self._regroup()

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Appends one token to each row; logits (rows, vocabulary) of the next."""
        w, column, count = self.w, self._column, len(tokens)
        groups, slots = len(self._groups), self._slots
        share, end, longest = w.heads // w.kv_heads, column + 1, self._longest
        own_mask = self._hidden[..., :end]
        spread = (groups * slots, w.kv_heads, share, w.head_size)

        def attend(layer: int, q: Any, k: Any, v: Any) -> torch.Tensor:
            keys, values = self._keys[layer], self._values[layer]
            keys[:, :, column], values[:, :, column] = k, v
            q = q.reshape(count, w.kv_heads, share, w.head_size)
            own, own_total = attention(q, keys[:, :, :end], values[:, :, :end], own_mask)
            if self._places is not None:
                q = q.new_zeros(spread).index_copy_(0, self._places, q)
            q = q.view(groups, slots, w.kv_heads, share, w.head_size).transpose(1, 2)
            trunk, trunk_total = attention(
                q.reshape(groups, w.kv_heads, slots * share, w.head_size),
                self._trunk_keys[layer][:, :, :longest],
                self._trunk_values[layer][:, :, :longest],
                self._trunk_mask,
            )
            trunk = trunk.view(groups, w.kv_heads, slots, share, -1).transpose(1, 2)
            trunk = trunk.reshape(spread)
            trunk_total = trunk_total.reshape(groups, w.kv_heads, slots, share).transpose(1, 2)
            trunk_total = trunk_total.reshape(spread[:3])
            if self._places is not None:
                trunk, trunk_total = trunk[self._places], trunk_total[self._places]
            weight = torch.sigmoid(own_total - trunk_total).unsqueeze(-1)
            return torch.lerp(trunk.float(), own.float(), weight).to(w.dtype)

        x = w.hidden(tokens, self._position, max(self._lengths) + 1, attend)
        self._position = self._position + 1
        self._lengths = [length + 1 for length in self._lengths]
        self._column += 1
        return w.logits(x)
