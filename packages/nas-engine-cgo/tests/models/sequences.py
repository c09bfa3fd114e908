"""Attention, recurrences and embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from torch import Tensor, nn

from models.case import ROWS, Case, Do, function, layer


def _attention(**more: Any) -> Callable[..., Any]:
    def act(m: Any, x: Tensor) -> Tensor:
        heads = x.unflatten(-1, (2, 4)).transpose(1, 2)
        drop = more.get("dropout_p", 0.0) if m.training else 0.0
        return F.scaled_dot_product_attention(
            heads * m.q, heads * m.k, heads, **{**more, "dropout_p": drop}
        )

    return act


class Heads(nn.Module):
    """Multi-head attention in one of its ways of use."""

    def __init__(self, way: str, **more: Any) -> None:
        super().__init__()
        self.body = nn.MultiheadAttention(8, 2, **more)
        self.way = way

    def forward(self, x: Tensor) -> Any:
        length = x.shape[1] if self.body.batch_first else x.shape[0]
        match self.way:
            case "self":
                return self.body(x, x, x)[0]
            case "no weights":
                return self.body(x, x, x, need_weights=False)[0]
            case "every head":
                return self.body(x, x, x, average_attn_weights=False)[1]
            case "cross":
                other = x * 0.5
                return self.body(x, other, other, need_weights=False)[0]
            case "causal":
                mask = nn.Transformer.generate_square_subsequent_mask(length, dtype=x.dtype)
                return self.body(x, x, x, attn_mask=mask, is_causal=True, need_weights=False)[0]
            case "mask":
                mask = torch.ones(length, length, dtype=torch.bool).triu(1)
                return self.body(x, x, x, attn_mask=mask)[1]
            case "mask of heads":
                mask = (x @ x.transpose(1, 2)).detach().repeat_interleave(2, 0)
                return self.body(x, x, x, attn_mask=mask, need_weights=False)[0]
            case "padding":
                padding = torch.arange(length).expand(x.shape[0], -1) > length - 2
                return self.body(x, x, x, key_padding_mask=padding, need_weights=False)[0]
            case _:
                padding = torch.arange(length).expand(x.shape[0], -1) > length - 2
                mask = torch.ones(length, length, dtype=torch.bool).triu(2)
                return self.body(x, x, x, key_padding_mask=padding, attn_mask=mask)[0]


class Padded(nn.Module):
    """An encoder whose last places are padding."""

    def __init__(self, **more: Any) -> None:
        super().__init__()
        self.body = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 8, 0.1, batch_first=True), 2, **more
        )

    def forward(self, x: Tensor) -> Any:
        padding = torch.arange(5).expand(x.shape[0], -1) > 3
        return self.body(x, src_key_padding_mask=padding)


class Positions(nn.Module):
    """An embedding with positions, a mask in a buffer, and a head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(11, 8, padding_idx=0), nn.Embedding(5, 8)
        self.register_buffer("mask", torch.ones(5, 5).tril().bool())
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        h = self.words(x) + self.places(torch.arange(x.shape[1], device=x.device))
        h = F.scaled_dot_product_attention(h[:, None], h[:, None], h[:, None], self.mask)[:, 0]
        return self.head(h)


def sequences() -> dict[str, Case]:
    sdpa = "scaled_dot_product_attention"
    parts = {"q": (4,), "k": (4,)}
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    first = {"batch_first": True}
    cases = {
        "attention": function(_attention(), ROWS, sdpa, **parts),
        "attention causal": function(_attention(is_causal=True, scale=0.3), ROWS, sdpa, **parts),
        "attention mask": function(_attention(attn_mask=causal), ROWS, sdpa, **parts),
        "attention dropout": function(_attention(dropout_p=0.3), ROWS, "dropout", **parts),
        "attention dropout mask": function(
            _attention(dropout_p=0.3, attn_mask=causal), ROWS, "dropout", **parts
        ),
        "attention dropout causal": function(
            _attention(dropout_p=0.3, is_causal=True), ROWS, "dropout", **parts
        ),
        "attention own mask": function(
            lambda m, x: F.scaled_dot_product_attention(
                x[:, None], x[:, None], x[:, None], attn_mask=m.bias
            ),
            ROWS,
            sdpa,
            bias=(1, 5, 5),
        ),
        "attention sample mask": function(
            lambda m, x: F.scaled_dot_product_attention(
                x[:, None], x[:, None], x[:, None], attn_mask=(x @ x.mT)[:, None]
            ),
            ROWS,
            sdpa,
        ),
        "attention of three": function(
            lambda m, x: F.scaled_dot_product_attention(x, x, x), ROWS, ""
        ),
        "heads": layer(lambda: Heads("self", **first), ROWS, "linear chunk softmax"),
        "heads with dropout": layer(lambda: Heads("self", dropout=0.3, **first), ROWS, "dropout"),
        "heads dropout no weights": layer(
            lambda: Heads("no weights", dropout=0.3, **first), ROWS, "dropout"
        ),
        "heads without bias": layer(lambda: Heads("self", bias=False, **first), ROWS, "linear"),
        "heads length first": layer(lambda: Heads("no weights"), ROWS, sdpa),
        "heads with more keys": layer(
            lambda: Heads("self", add_bias_kv=True, add_zero_attn=True, **first), ROWS
        ),
        "heads of other sizes": layer(lambda: Heads("cross", kdim=8, vdim=8, **first), ROWS),
        "transformer layer": layer(
            lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.2, batch_first=True), ROWS, "layer_norm"
        ),
        "transformer layer norm first": layer(
            lambda: nn.TransformerEncoderLayer(
                8, 2, 16, 0.0, activation="gelu", norm_first=True, batch_first=True
            ),
            ROWS,
            sdpa,
        ),
        "transformer encoder": layer(
            lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8, 0.1), 2), ROWS,
            "linear",
        ),
        "transformer encoder padded": layer(
            lambda: Padded(enable_nested_tensor=False), ROWS, "linear dropout"
        ),
        "transformer encoder nested": layer(Padded, ROWS),
        "transformer decoder": layer(
            lambda: Do(
                lambda m, x: m.body(x, x * 0.5),
                body=nn.TransformerDecoderLayer(8, 2, 8, 0.1, batch_first=True),
            ),
            ROWS,
            "linear",
        ),
        "lstm": layer(
            lambda: Do(lambda m, x: m.body(x)[0], body=nn.LSTM(8, 3, batch_first=True)), ROWS
        ),
        "lstm of two": layer(
            lambda: Do(
                lambda m, x: m.body(x)[1][0],
                body=nn.LSTM(8, 3, 2, dropout=0.3, bidirectional=True),
            ),
            ROWS,
        ),
        "gru": layer(lambda: Do(lambda m, x: m.body(x)[1], body=nn.GRU(8, 3)), ROWS),
        "rnn cell": layer(
            lambda: Do(lambda m, x: m.body(x[:, 0], m.body(x[:, 1])), body=nn.GRUCell(8, 4)), ROWS
        ),
        "embedding": Case(lambda: nn.Embedding(11, 8), (5,), "embedding", 11),
        "embedding padding": Case(
            lambda: nn.Embedding(11, 8, padding_idx=-2), (5,), "embedding", 11
        ),
        "embedding norm": Case(lambda: nn.Embedding(11, 8, max_norm=1.0), (5,), "", 11),
        "embedding bag": Case(lambda: nn.EmbeddingBag(11, 8), (5,), "", 11),
        "embeddings tied": Case(Positions, (5,), "embedding", 11),
        "one_hot": Case(
            lambda: Do(
                lambda m, x: m.body(F.one_hot(x, 11).double()), body=nn.Linear(11, 3)
            ),
            (5,),
            "linear",
            11,
        ),
    }  # fmt: skip
    for way in ("no weights", "every head", "cross", "causal", "mask", "mask of heads", "padding",
                "both"):  # fmt: skip
        cases[f"heads {way}"] = layer(lambda w=way: Heads(w, **first), ROWS, "linear")
    return cases
