/* What pickle.c, the loop, and pickle_opcodes.c, what the opcodes do, share: the machine's state and the table. */
#ifndef NETC_PICKLE_MACHINE_H
#define NETC_PICKLE_MACHINE_H

#include "weights/pickle.h"

enum { MOST_STEPS = 4 << 20 }; /* of one pickle: values, stack and memo grow with steps only */

enum operand_kind { NONE, U1, U2, U4, U8, S4, BYTES1, BYTES4, BYTES8, BYTES_OF_8, LINE, LINES2 };

struct operand {
    const unsigned char *bytes; /* of BYTES and LINE */
    size_t length;
    const unsigned char *second; /* of LINES2 */
    size_t second_length;
    int64_t number; /* of the others */
};

struct machine {
    struct arena *arena;
    struct pickled **stack;
    size_t count, capacity;
    size_t *mark, n_mark, cap_mark;
    struct pickled **memo;
    size_t n_memo, memo_size;
    bool stopped;
};

struct opcode {
    const char *name; /* NULL: there is no such opcode */
    enum operand_kind operand;
    bool (*run)(struct pickle *, const struct operand *); /* NULL: refused */
};
extern const struct opcode pickle_opcode[256];

#endif
