/* The inputs and outputs of a network as the caller of its functions sees them: what they are called in C.
 *
 * The description's names may be words of C or C++, macros of some header, or (in graph IR) no names of C at all; two of
 * them may differ by case alone, and macros are written in capitals. So every port has a word of its own, which is the
 * description's name wherever that will do. */
#include <ctype.h>
#include <string.h>

#include "emit/emit.h"
#include "emit/names.h"

/* Words of C and C++, macros of the standard headers and of the helper headers, and what the functions call their own. */
static const char *const reserved[] = {"alignas",
                                       "alignof",
                                       "and",
                                       "and_eq",
                                       "anywhere",
                                       "asm",
                                       "assert",
                                       "auto",
                                       "bitand",
                                       "bitor",
                                       "bool",
                                       "break",
                                       "case",
                                       "catch",
                                       "char",
                                       "char16_t",
                                       "char32_t",
                                       "char8_t",
                                       "class",
                                       "co_await",
                                       "co_return",
                                       "co_yield",
                                       "compl",
                                       "complex",
                                       "concept",
                                       "const",
                                       "const_cast",
                                       "consteval",
                                       "constexpr",
                                       "constinit",
                                       "continue",
                                       "decltype",
                                       "default",
                                       "delete",
                                       "do",
                                       "double",
                                       "dynamic_cast",
                                       "else",
                                       "enum",
                                       "errno",
                                       "explicit",
                                       "export",
                                       "extern",
                                       "false",
                                       "far",
                                       "fence",
                                       "float",
                                       "for",
                                       "forward",
                                       "friend",
                                       "goto",
                                       "i386",
                                       "if",
                                       "imaginary",
                                       "inline",
                                       "inlined",
                                       "inputs",
                                       "int",
                                       "interface",
                                       "kernel",
                                       "lacks",
                                       "lane16",
                                       "lane4",
                                       "lane8",
                                       "linux",
                                       "long",
                                       "low_bits",
                                       "mutable",
                                       "namespace",
                                       "near",
                                       "net",
                                       "new",
                                       "noexcept",
                                       "noreturn",
                                       "not",
                                       "not_eq",
                                       "nullptr",
                                       "offsetof",
                                       "operator",
                                       "or",
                                       "or_eq",
                                       "outputs",
                                       "pick",
                                       "prefetch",
                                       "prefetch2",
                                       "private",
                                       "protected",
                                       "public",
                                       "register",
                                       "reinterpret_cast",
                                       "renew",
                                       "requires",
                                       "restrict",
                                       "return",
                                       "short",
                                       "signed",
                                       "size_t",
                                       "sizeof",
                                       "small",
                                       "static",
                                       "static_assert",
                                       "static_cast",
                                       "stderr",
                                       "stdin",
                                       "stdout",
                                       "struct",
                                       "switch",
                                       "template",
                                       "this",
                                       "thread_local",
                                       "threads",
                                       "throw",
                                       "true",
                                       "try",
                                       "typedef",
                                       "typeid",
                                       "typename",
                                       "typeof",
                                       "typeof_unqual",
                                       "uintptr_t",
                                       "union",
                                       "unix",
                                       "unroll",
                                       "unsigned",
                                       "using",
                                       "variants",
                                       "virtual",
                                       "void",
                                       "volatile",
                                       "wchar_t",
                                       "while",
                                       "workspace",
                                       "xor",
                                       "xor_eq"};

const char *capitals(struct arena *a, const char *name)
{
    char *s = arena_copy(a, name, strlen(name));
    for (char *c = s; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return s;
}

/* What has no small letter is a macro somewhere: I, NAN, M_PI. */
static bool is_reserved(const char *word)
{
    bool small = false;
    for (const char *c = word; *c; c++)
        small = small || islower((unsigned char)*c);
    for (size_t i = 0; i < LENGTH(reserved); i++)
        if (strcmp(word, reserved[i]) == 0)
            return true;
    return !small;
}

/* Words differ in more than case, and so do variables. */
static bool is_taken(struct arena *a, const struct ports *ports, size_t n, const char *word)
{
    const char *large = capitals(a, word);
    for (size_t i = 0; i < n; i++)
        if (strcmp(large, capitals(a, ports->port[i].word)) == 0 || strcmp(word, ports->port[i].variable) == 0)
            return true;
    return false;
}

static const char *new_word(struct arena *a, const struct ports *ports, size_t n, const char *name)
{
    const char *first = identifier(a, name);
    first = isalpha((unsigned char)*first) ? first : arena_printf(a, "tensor%s%s", *first == '_' ? "" : "_", first);
    const char *word = first;
    for (int i = 2; is_taken(a, ports, n, word); i++)
        word = arena_printf(a, "%s_%d", first, i);
    return word;
}

struct ports ports_of(struct arena *a, const struct graph *g)
{
    struct ports ports = {.n_input = g->n_input, .n = g->n_input + g->n_output};
    ports.port = NEW_ARRAY(a, struct port, ports.n + 1);
    for (size_t i = 0; i < ports.n; i++) {
        struct port *port = &ports.port[i];
        port->input = i < g->n_input ? &g->input[i] : NULL;
        port->output = port->input ? NULL : &g->output[i - g->n_input];
        port->name = port->input ? port->input->node->name : port->output->name;
        port->shape = port->input ? port->input->node->type.shape : port->output->node->type.shape;
        port->word = new_word(a, &ports, i, port->name);
        port->variable = is_reserved(port->word) ? arena_printf(a, "%s_", port->word) : port->word;
        while (is_taken(a, &ports, i, port->variable))
            port->variable = arena_printf(a, "%s_", port->variable);
        port->macro = arena_printf(a, "%s_%s", capitals(a, g->name), capitals(a, port->word));
    }
    return ports;
}

const char *labels_name(struct arena *a, const struct graph *g, size_t output)
{
    return arena_printf(a, "%s_%s_labels", g->name, ports_of(a, g).port[g->n_input + output].word);
}
