"""Operators, methods and functions of torch, as people write them: one module for a few of them."""

import linecache
import math

import pytest
import torch
from torch import nn

from nas_engine_graph.testing import assert_round_trip

EXPRESSIONS = r"""
torch.broadcast_tensors(t,v)
torch.broadcast_tensors(t,v)[0]
torch.atleast_2d(t[0])
torch.atleast_1d(t)
torch.atleast_3d(t)
torch.atleast_2d([t,v])
torch.block_diag(t,v)
torch.cartesian_prod(t[0],t[1])
torch.cdist(t,v)
torch.chain_matmul(t,t.t())
torch.norm(t)
torch.norm(t,dim=1)
torch.norm(t,p='fro')
torch.meshgrid(t[0],t[1])
torch.meshgrid([t[0],t[1]],indexing='xy')
torch.tensordot(t,t.t(),dims=1)
torch.tensordot(t,t,dims=([0],[0]))
torch.stft(t[0],4,window=torch.ones(4),return_complex=True)
torch.istft(torch.stft(t.flatten(),4,window=torch.ones(4),return_complex=True),4,window=torch.ones(4))
torch.unique(t)
torch.unique(t,return_inverse=True)
torch.unique_consecutive(t)
t.unique()
t.unique(dim=0,return_counts=True)
t.unique_consecutive()
t.flatten().unique_consecutive(return_inverse=True)
t.flatten().stft(4,return_complex=True,window=torch.ones(4))
t.flatten().stft(4,2,None,torch.ones(4),False,return_complex=True)
torch.atleast_1d([t])
torch.atleast_3d([t[0],v])
t.to(v,True,True,memory_format=torch.preserve_format)
t.to(torch.float64,memory_format=torch.contiguous_format)
t.is_contiguous(memory_format=torch.contiguous_format)
torch.ops.aten.log_sigmoid(t,out=torch.empty(3,4))
torch.ops.aten.add.Tensor(t,v)
torch.ops.aten.sum.dim_IntList(t,[0],keepdim=True)
torch.ops.aten.tensordot(t,t,[0],[0])
[t,v][0].copy_(v)
[t,v].pop(0).index_put_((torch.tensor([1]),),v[0],True)
{'t':t}['t'].index_put_((torch.tensor([1]),),v[0],accumulate=True)
torch.split(t,2)
torch.linalg.svd(t)
torch.svd(t)
torch.linalg.norm(t)
torch.linalg.vector_norm(t)
torch.fft.fft(t)
torch.fft.rfft(t,dim=1).real
torch.special.expit(t)
torch.broadcast_shapes((3,1),(1,4))
torch.histc(t)
torch.bincount(torch.tensor([1,2]))
torch.searchsorted(t[0].sort()[0],t)
torch.bucketize(t,t[0].sort()[0])
torch.nan_to_num(t)
torch.quantile(t,0.5)
torch.lerp(t,t,0.5)
torch.addmm(t,t[:, :3],t)
torch.addcmul(t,t,t,value=2)
t.addcdiv(t,t+1)
torch.logical_and(t>0,t<1)
torch.isclose(t,t)
torch.vander(t[0])
torch.kron(t,t)
torch.trapezoid(t)
torch.diff(t)
torch.hstack([t,t])
torch.vstack([t,t])
torch.dstack([t,t])
torch.swapaxes(t,0,1)
torch.var_mean(t)
torch.std_mean(t,1)
torch.aminmax(t)
torch.cummax(t,0)
torch.kthvalue(t,1)
torch.mode(t)
torch.count_nonzero(t)
torch.argwhere(t>0)
torch.tril_indices(3,3)
torch.combinations(t[0])
torch.repeat_interleave(t,2,0)
torch.repeat_interleave(t,torch.tensor([1,2,3]),dim=0)
torch.take_along_dim(t,torch.zeros(3,1,dtype=torch.long),1)
t.scatter(1,torch.zeros(3,1,dtype=torch.long),1.0)
t.scatter_add(1,torch.zeros(3,1,dtype=torch.long),t)
t.index_add(0,torch.tensor([0]),v)
t.index_copy(0,torch.tensor([0]),v)
t.index_fill(0,torch.tensor([0]),1.0)
t.masked_scatter(t>0,t)
t.scatter_reduce(1,torch.zeros(3,4,dtype=torch.long),t,reduce='amax')
torch.segment_reduce(t,'sum',lengths=torch.tensor([1,2]))
t.to_sparse().to_dense()
t.to_sparse()
torch.quantize_per_tensor(t,0.1,0,torch.qint8)
torch.quantize_per_tensor(t,0.1,0,torch.qint8).dequantize()
t.cpu().clone().detach().requires_grad_(True)
t.data
t.is_floating_point()
t.requires_grad
t.is_leaf
t.layout
t.is_sparse
t.is_quantized
t.H
t.mH
t.real
t.T
t.itemsize
t.nbytes
t.is_complex()
t.get_device()
t.dtype==torch.float32
t.is_cuda
torch.is_floating_point(t)
isinstance(t,Tensor)
torch.numel(t)
torch.promote_types(torch.float32,torch.int32)
torch.result_type(t,1)
torch.can_cast(torch.float32,torch.int32)
torch.zeros(t.shape)
torch.zeros(t.size(0),2)
torch.ones([2,t.shape[0]])
torch.rand(3,4)
torch.normal(0.0,1.0,(2,))
torch.normal(t,1.0)
torch.poisson(t.abs())
torch.multinomial(t.abs(),2)
torch.dropout(t,0.5,True)
t.bernoulli_(0.5)
t.normal_()
t.random_(0,5)
t.exponential_()
t.fill_(2)
t.zero_()
t.copy_(v)
t.t_()
t.squeeze_(0)
t.transpose_(0,1)
t.clamp_(0,1)
t.masked_fill_(t>0,0)
t.index_add_(0,torch.tensor([0]),v)
t.scatter_(1,torch.zeros(3,1,dtype=torch.long),1.0)
t.unsafe_chunk(2)
t.view(torch.int32)
t.view_as(t)
t.expand_as(t)
t.reshape(-1,2)
t.as_strided((2,2),(1,2))
t.diagonal()
t.trace()
t.squeeze((0,1))
t.sum((0,1))
t.mean(dtype=torch.float64)
t.sum(dtype=torch.int32)
t.cumsum(0,dtype=torch.float64)
t.softmax(0,dtype=torch.float64)
t.any(0)
t.max(0,keepdim=True)
t.amax((0,1))
t.argsort(descending=True)
t.msort()
t.rot90(1,[0,1])
t.fliplr()
t.float_power(2)
t.sgn()
t.hypot(t)
t.xlogy(t.abs())
t.fmod(2)
t.remainder(-2)
t.floor_divide(2)
t.div(2,rounding_mode='floor')
torch.div(t,2,rounding_mode='trunc')
t.true_divide(3)
-t
abs(t)
t.neg()
2-t
2/t
2**t
2//t
2%t
1&t.long()
True&(t>0)
t//v
t%v
t@v.t()
t<v
t.lt(v)
t!=v
t is v
t is not None
not t.sum()
len(t)
sum([1,2,3])
max(t.shape)
min(t.shape[0],2)
sorted([3,1])
[2,t.shape[0]].index(3)
['a',str(t.shape[0])].index('3')
math.pow(t.shape[0],2)
pow(t.shape[0],2)
math.pow(2,3)
math.remainder(t.shape[0],2.0)
list(t.shape)[::-1]
(1,)+t.shape
t.shape[::-1]
[i for i in t.shape]
[t for _ in range(2)]
{i:i*2 for i in range(3)}
[a*b for a,b in zip([1,2],[3,4])]
'%.2f'%1.5
'{:>5}'.format('a')
str(t.shape[0])
str(t.dtype)
int('3')
float('2.5')
chr(97)
ord('a')
hex(3)
'a' 'b'
'abc'[-1]
'abc'[1:]
"""
GROUP = 6


def module(expressions: list[str], number: int) -> type[nn.Module]:
    source = f"""
class Expressions(nn.Module):
    def forward(self, x, v):
        t = x.clone()
        return ({", ".join(expressions)},)
"""
    file = f"<expressions {number}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope = {"math": math, "nn": nn, "torch": torch, "Tensor": torch.Tensor}
    scope |= {"__name__": "expressions"}
    exec(compile(source, file, "exec", dont_inherit=True), scope)
    made: type[nn.Module] = scope["Expressions"]
    return made


LINES = EXPRESSIONS.strip().splitlines()
GROUPS = [LINES[i : i + GROUP] for i in range(0, len(LINES), GROUP)]


# What is deprecated or a beta in torch works all the same.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("number", range(len(GROUPS)), ids=lambda number: GROUPS[number][0])
def test_expressions_are_those_of_python(number: int) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(3, 4, generator=generator), torch.randn(1, 4, generator=generator)
    assert_round_trip(module(GROUPS[number], number), *inputs)
