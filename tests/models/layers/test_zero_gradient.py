"""Parameters that a forward pass did not read get a gradient of zero."""

from __future__ import annotations

import torch
from torch import nn

from restorebench.models.layers.zero_gradient import with_zero_gradients


def test_values_pass_and_unread_parameters_get_zero() -> None:
    read, unread = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2, 4))
    frozen = nn.Parameter(torch.ones(5), requires_grad=False)
    x = 2 * read
    kept = with_zero_gradients(x, [unread, frozen])
    assert torch.equal(kept, x)
    kept.sum().backward()
    assert read.grad is not None
    assert read.grad.tolist() == [2, 2, 2]
    assert unread.grad is not None
    assert torch.equal(unread.grad, torch.zeros(2, 4))
    assert frozen.grad is None


def test_nothing_is_done_where_no_gradient_is_recorded() -> None:
    x = torch.ones(3, requires_grad=True)
    with torch.no_grad():
        assert with_zero_gradients(x, [nn.Parameter(torch.ones(1))]) is x
    assert with_zero_gradients(x, []) is x
