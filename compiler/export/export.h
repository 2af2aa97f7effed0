/* A network as an ONNX model, opset 17, for other engines: what becomes of each operator is written in grammar/ONNX.md.
 *
 * The model is never in memory as a whole: onnx_model() makes everything but the values of the parameters, and
 * onnx_write() works these out one by one. The schema, onnx.proto, is ONNX's own (Apache-2.0, see onnx.LICENSE).
 */
#ifndef NETC_EXPORT_H
#define NETC_EXPORT_H

#include "graph/graph.h"

struct weights;
struct onnx_model;

/* Of a graph as it was elaborated. `batch`: images a run; 0: any number, the dimension N. Lies in the arena. NULL after a diagnostic:
 * an operator that only passes make, a parameter that they derived, more bytes than a message of protobuf can have. */
struct onnx_model *onnx_model(struct arena *, struct diags *, const struct graph *, int64_t batch);
/* Everything into the file, which the caller closes. The scratch arena holds one parameter at a time, as doubles. False and errno if
 * the file cannot be written. */
bool onnx_write(const struct onnx_model *, struct arena *scratch, struct weights *, FILE *);

#endif
