/* The numbers of a convolution that its schedule, its lowering and the packing of its weights must agree on. */
#include "lower/lower.h"

static int64_t blocks(int64_t channels, int64_t block)
{
    return (channels + block - 1) / block;
}

/* 1 x 1 without stride between maps without borders: rows need not be told apart. */
static bool can_be_flat(const struct node *n, const struct conv_dims *d)
{
    if (d->kh * d->kw * d->sy * d->sx != 1 || n->in[0]->type.layout.halo || n->type.layout.halo)
        return false;
    for (int i = 0; i < n->n_epilogue; i++) {
        const struct node *o = n->epilogue[i].operand;
        if (o && shape_equal(o->type.shape, n->type.shape) && o->type.layout.halo)
            return false;
    }
    return true;
}

struct conv_dims conv_dims(const struct node *n)
{
    const struct type *in = &n->in[0]->type, *out = &n->type;
    if (n->op == OP_linear)
        return (struct conv_dims){.groups = 1,
                                  .ic = in->shape.dim[0],
                                  .oc = out->shape.dim[0],
                                  .ih = 1,
                                  .iw = 1,
                                  .oh = 1,
                                  .ow = 1,
                                  .kh = 1,
                                  .kw = 1,
                                  .sy = 1,
                                  .sx = 1,
                                  .dy = 1,
                                  .dx = 1,
                                  .ib = blocks(in->shape.dim[0], BLOCK),
                                  .ob = blocks(out->shape.dim[0], BLOCK),
                                  .block = BLOCK,
                                  .flat = true};
    const struct attrs *a = &n->attrs;
    struct conv_dims d = {.groups = a->groups,
                          .ic = in->shape.dim[0] / a->groups,
                          .oc = out->shape.dim[0] / a->groups,
                          .ih = in->shape.dim[1],
                          .iw = in->shape.dim[2],
                          .oh = out->shape.dim[1],
                          .ow = out->shape.dim[2],
                          .kh = a->kernel[0],
                          .kw = a->kernel[1],
                          .sy = a->stride[0],
                          .sx = a->stride[1],
                          .dy = a->dilation[0],
                          .dx = a->dilation[1],
                          .block = in->layout.block};
    d.py = in->layout.halo - a->pad[0];
    d.px = in->layout.halo - a->pad[1];
    if (n->algorithm == ALGORITHM_spread) { /* blocks of the whole value: groups do not split them */
        d.ib = layout_blocks(*in);
        d.ob = layout_blocks(*out);
        return d;
    }
    d.lanes_in = a->groups > 1 && d.ic < BLOCK && BLOCK % d.ic == 0 && !in->layout.seg ? d.ic : 0;
    d.ib = a->groups == 1 ? layout_blocks(*in) : d.lanes_in ? 1 : blocks(d.ic, BLOCK);
    d.ob = a->groups == 1 ? layout_blocks(*out) : blocks(d.oc, BLOCK);
    d.flat = a->groups == 1 && can_be_flat(n, &d);
    return d;
}
