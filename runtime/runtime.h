/* What the files of the runtime share.
 *
 * netc compiles these files together with every network, so they are few and small and know nothing of the network
 * but the table netc_model. A program does one thing and ends: a fault is one line on stderr and an exit, from
 * wherever it is found, and fail() removes the output that is only half written. What is compiled here must run on
 * any processor of the architecture: only the functions of netc_model and its variants are built for the target, and
 * none but lacks() is called before lacks() agreed.
 */
#ifndef NETC_RUNTIME_H
#define NETC_RUNTIME_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "model.h"

#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* ---- fail.c ---- */
_Noreturn void fail(const char *format, ...) PRINTF(1, 2);       /* "PROG: error: ...", exit 1 */
_Noreturn void fail_usage(const char *format, ...) PRINTF(1, 2); /* the same and where help is, exit 2 */
void report(const char *format, ...) PRINTF(1, 2); /* the same line, and the program goes on; from any thread */
void print_visibly(FILE *, const char *text); /* control characters as \n, \t, \xHH: a path may hold any */
void *allocate(int64_t count, size_t size, const char *what);    /* zeroed; never NULL; the caller frees */
void *allocate_json(size_t bytes); /* for jansson, which would leave out of an object what it has no memory for */
void *allocate_aligned(int64_t bytes, const char *what); /* to 64 bytes, or to a huge page where it fills one */
double now(void); /* seconds */

/* ---- files.c ---- */
FILE *input_open(const char *path, int64_t *size); /* "-": standard input; *size is -1 where it is no regular file */
void input_truncated(FILE *, const char *path) __attribute__((noreturn)); /* a read that came short: why */
/* All of a file ("-": standard input), for the caller to free; NULL: `why` says why not. From any thread. */
enum { MAX_PICTURE_BYTES = 5 << 28 }; /* more than the largest picture takes, 16 bits a sample */
uint8_t *file_bytes(const char *path, size_t *n, char *why, size_t room);
void claim_descriptors(void); /* before any file is opened: none may become a standard stream that was closed */
/* An output has a temporary name beside its own until it is whole. At most one is open at a time. */
FILE *output_begin(const char *path); /* "-": standard output */
void output_end(void);
void output_abandon(void); /* removes what was begun, if anything was */
void finish_stdout(void); /* a full disk is an error, not silence */

/* ---- options.c ---- */
enum { MAX_RUNS = 1000000 };
enum mode { MODE_NONE, MODE_PICTURES, MODE_TENSOR, MODE_DATASET, MODE_BENCH, MODE_INFO, MODE_LAYERS };
struct options {
    enum mode mode;
    const char *const *picture; /* the arguments IMAGE... */
    int n_picture;
    const char **tensor; /* a path for every input of the network */
    const char *output; /* NULL: print */
    char *images; /* one text with labels, cut in two */
    const char *labels, *contact_sheet;
    const char *weights_file, *target; /* NULL: the program's own, the best one */
    const char **dump; /* --dump: names of layers */
    int n_dump;
    const char *trace; /* --profile=FILE.json; NULL: none */
    int threads, runs, top; /* runs 0: about two seconds */
    bool json, profile, quiet, exif, threads_given;
};
struct options read_options(int argc, char **argv);
bool ends_with(const char *text, const char *end); /* and is longer */
void free_options(struct options *);

/* ---- threads.c ---- */
void settle_threads(struct options *); /* as many as can be started here; fails if more were asked for */

/* ---- network.c ---- */
extern struct network { /* the opened network; before network_open() all is NULL */
    const struct netc_variant *variant; /* the code for this processor */
    struct netc_weights weights;
} network;
/* Picks the variant (the best, or the one of --target) and finds the weights (the program's, or those of --weights-file);
 * else the program ends with one line. Before that nothing of the network's code may run. */
void network_open(const struct options *);
void network_close(void);
/* The variant that network_open() would pick, and in *missing what this processor lacks for it, or NULL. */
const struct netc_variant *network_variant(const struct options *, const char **missing);
struct session { /* what one caller of the network needs: room for one batch */
    void *workspace;
    float **input, **output;
};
struct session session_open(void);
void session_close(struct session *);
void session_run(struct session *, int threads);
const char *shape_text(int rank, const int64_t *shape); /* "[3,224,224]"; valid until the eighth call after it */
int64_t tensor_bytes(int64_t count, const struct netc_tensor *); /* of count images; fails on overflow */

/* ---- classes.c ---- */
/* The greatest logit's number; -1 if any logit is not finite: such an answer is no answer. */
int best_class(const float *logits, int64_t n);
const char *class_name(const struct netc_tensor *, int64_t class, char number[24]);
/* What the network said of one picture: the top classes of vectors, the first values of the rest. */
void print_answer(const struct netc_tensor *, const float *values, int top);
struct json_t;
struct json_t *json_answer(const struct netc_tensor *, const float *values, int top);
struct json_t *json_double(double); /* numbers that JSON lacks become "nan", "inf", "-inf" */
void print_json(struct json_t *); /* one line on stdout; takes the object */

/* ---- npy.c, safetensors.c ---- */
enum { NPY_MAX_RANK = 32 };
struct npy {
    FILE *file;
    const char *path;
    int rank;
    int64_t shape[NPY_MAX_RANK];
};
void npy_open(struct npy *, const char *path); /* reads and checks the header: float32, little endian, C order */
void npy_read(struct npy *, float *to, int64_t n);
void npy_close(struct npy *);
void npy_header(FILE *, int64_t count, const struct netc_tensor *); /* the values follow */
void npy_write(FILE *, int64_t count, const struct netc_tensor *, const float *values);
void safetensors_header(FILE *, int64_t count, const struct netc_tensor *, int n); /* the values of n tensors follow */
void safetensors_write(FILE *, int64_t count, const struct netc_tensor *, int n, float *const *values);

/* ---- idx.c ---- */
struct pictures { /* 8 bit, one after the other, rows of pixels of `channels` bytes (1 gray, 3 red green blue) */
    int64_t count;
    int rows, columns, channels;
    uint8_t *pixels;
};
struct pictures idx_read_pictures(const char *path);
uint8_t *idx_read_labels(const char *path, int64_t *count);

/* ---- picture.c and decode_*.c ---- */
struct picture { /* 8 bit, red green blue, rows x columns x 3; rgb: free() */
    int rows, columns;
    uint8_t *rgb;
};
/* Decodes JPEG, PNG or PPM/PGM/PBM (told by their first bytes, not by name) to RGB as Pillow's
 * Image.open(f).convert("RGB"). exif: turn by the orientation tag. Never ends the program: NULL if done, else why not,
 * one line without the path and without a newline, written into `why` (room bytes). Thread-safe. */
const char *picture_decode(const uint8_t *bytes, size_t n, bool exif, struct picture *out, char *why, size_t room);
/* The whole way of a decoded picture into an input of the network: the steps of tensor->step in order. out:
 * tensor->elements floats. Thread-safe. NULL, or why not. */
const char *picture_to_tensor(const struct netc_tensor *, const struct picture *, float *out, char *why, size_t room);
/* The same for a picture that is gray (channels 1) or RGB (3), without a copy: data sets. */
const char *pixels_to_tensor(const struct netc_tensor *, int rows, int columns, int channels, const uint8_t *pixels,
                             float *out, char *why, size_t room);

/* ---- between those files: none of them prints or ends the program ---- */
enum { MAX_PICTURE_PIXELS = 178956970, MAX_PICTURE_SIDE = 1000000 }; /* Pillow's and libpng's limits */
struct why { /* where a reason is written */
    char *text;
    size_t room;
};
const char *because(const struct why *, const char *format, ...) PRINTF(2, 3); /* writes, returns the text */
/* Allocates rgb; why not: too large, no memory. */
const char *picture_new(struct picture *, int64_t rows, int64_t columns, const struct why *);
/* orientation: NULL, or set to 1 .. 8 where the file has such a tag. What they allocated is freed if they fail. */
const char *decode_jpeg(const uint8_t *bytes, size_t n, struct picture *, int *orientation, const struct why *);
const char *decode_png(const uint8_t *bytes, size_t n, struct picture *, int *orientation, const struct why *);
const char *decode_pnm(const uint8_t *bytes, size_t n, struct picture *, const struct why *);
/* exif.c. The tag of a TIFF structure (what follows "Exif\0\0"); 1 where it has none or makes no sense. */
int exif_orientation(const uint8_t *tiff, size_t n);
const char *picture_turn(struct picture *, int orientation, const struct why *);
/* resize.c. Pillow's Image.resize of 8 bit pixels; stride: bytes from row to row. to: rows x columns x channels. */
struct pixels {
    int rows, columns, channels;
    int64_t stride;
    const uint8_t *at;
};
const char *resize_pixels(const struct pixels *from, int rows, int columns, bool bicubic, uint8_t *to,
                          const struct why *);

/* ---- progress.c ---- */
struct progress {
    bool show; /* only then is anything drawn */
    int64_t count;
    double start, drawn; /* drawn: when; 0 if the line is empty */
};
struct progress progress_begin(bool show, int64_t count); /* shown on a terminal only */
void progress_update(struct progress *, int64_t done); /* by one thread at a time */
void progress_clear(struct progress *); /* before another line, and at the end */

/* ---- classify.c: the pictures of the command line; listing.c, answers.c, rows.c are its parts ---- */
enum { WHY_ROOM = 256 };
struct listing {
    const char **path;
    int64_t count, room;
    int64_t complaints; /* folders that gave nothing, told already */
    bool folders; /* an argument was one */
};
struct listing list_pictures(const char *const *argument, int n);
void free_listing(struct listing *);
void check_pictures_fit(void); /* fails if the network's input is not made from pictures */
/* A picture's way from its file into an input. why is "" afterwards if all went well. Thread-safe. */
void picture_from_file(const char *path, bool exif, float *input, char why[WHY_ROOM]);

struct rows { /* of --output */
    FILE *file;
    int64_t count;
    int outputs;
    off_t start; /* of the first output's values, where there are several */
};
void rows_begin(struct rows *, const char *path, int64_t count);
/* Rows in their order, values[i] those of output i. Returns errno or 0. */
int rows_write(struct rows *, int64_t first, int64_t take, float *const *values);

struct answers {
    const struct options *options;
    const struct listing *list;
    struct progress progress;
    struct rows rows;
    int64_t complaints; /* pictures without an answer */
    bool printed;
    int error; /* errno of a write that failed: nothing more can be told */
};
struct answers answers_begin(const struct options *, const struct listing *);
/* In order, by one thread at a time. why[i] is "", or why picture i could not be read; output[k] holds the `take`
 * answers of output k, and NaN afterwards where there is none. */
void answers_tell(struct answers *, int64_t first, int take, char (*why)[WHY_ROOM], float *const *output);
void answers_end(struct answers *);

/* ---- watch.c: the forward again, layer by layer ---- */
/* A task of one layer; the tasks of a stage are numbered 0 .. batch_tasks(stage), image by image. */
void run_task(const struct session *, const struct netc_stage *, int layer, int task);
int batch_tasks(const struct netc_stage *);
enum { WAITED = -1 };
struct event { /* what one thread did, from one reading of the clock to the next, in seconds */
    double begin, end;
    /* A layer and the task of it; or layer is WAITED - s: for other threads before stage s (0: until it was started;
     * n_stage: at the end). */
    int layer, task;
};
struct watch {
    int threads; /* that are asked for */
    /* Of the last run. Over all threads, busy and waiting add up to took_part * (end - begin). */
    int took_part;
    double begin, end;
    double *busy; /* a layer: seconds, of all threads together */
    double *waiting; /* a stage, and the end */
    struct event *event; /* of thread t: count[t] of them from first[t] on; NULL: they are not kept */
    int64_t *first, *count;
    /* the threads' own */
    double *rows, *last;
};
void watch_open(struct watch *, int threads, bool events);
void watch_run(struct watch *, const struct session *);
void watch_close(struct watch *);
double clock_cost(void); /* seconds that one reading takes */
/* How many readings stand in the busy time of each layer of a stage. */
int64_t clock_readings(const struct watch *, const struct netc_stage *);

/* ---- profile.c: what many watched runs tell; trace.c: one of them, as a file ---- */
struct profile {
    struct watch watch;
    double clock_cost;
    int runs, room, width;
    double *sample; /* a run: seconds of the wall clock; of reading it; what watch keeps, divided by the threads */
};
struct profile profile_open(int threads);
void profile_close(struct profile *);
/* Fails unless the watched run computes what the network's own one does. */
void profile_check(struct profile *, struct session *);
void profile_run(struct profile *, const struct session *);
struct profile_times { /* medians of the watched runs, in milliseconds of the run */
    double total; /* of the whole run; what stands below adds up to it */
    double *layer, *waiting; /* as in watch */
    double waited; /* the waiting in all */
    double clock; /* for reading it */
    double disturbed; /* of the median run, that is in no row's median */
};
struct profile_times profile_times(const struct profile *);
void free_profile_times(struct profile_times *);
/* peak: GFLOP/s; memory: GB/s; both of all threads. */
void print_profile(const struct profile_times *, double median_ms, double peak, double memory, int top);
void json_profile(struct json_t *to, const struct profile_times *, double peak, double memory);
/* Runs a few more times and writes the run that is closest to the median. */
void write_trace(FILE *, const struct session *, int threads, double median_ms);

/* ---- dump.c: values in between ---- */
bool dump_is_help(const char *name); /* "help", and no layer is called so */
void list_layers(const struct options *); /* runs on any processor */
bool run_dump(const struct options *); /* false: some pictures could not be read, which was told */

/* ---- tensors.c: the tensors of the command line ---- */
struct npy *tensors_open(const struct options *, int64_t *count);
/* The next `take` images of each, into the session's inputs, zeros behind them. */
void tensors_fill(struct npy *, struct session *, int64_t take);
void tensors_close(struct npy *);

/* ---- the modes ---- */
bool run_pictures(const struct options *); /* false: some had no answer, which was told */
void run_tensors(const struct options *);
void run_dataset(const struct options *);
void run_bench(const struct options *);
/* energy.c: joules of all processors since it was asked before, a millisecond or more ago; -1: their counters cannot be read. */
void energy_open(void);
double energy_since(void);
int compare_numbers(const void *, const void *); /* doubles, for qsort() */
void print_info(const struct options *);

/* ---- sheet.c, font.c ---- */
void write_sheet(const char *path, const struct pictures *, const uint8_t *labels, const int *predicted);
enum { FONT_WIDTH = 5, FONT_HEIGHT = 7, FONT_FIRST = 32, FONT_LAST = 126 };
extern const uint8_t font_rows[FONT_LAST - FONT_FIRST + 1][FONT_HEIGHT]; /* bit 4 is the left column */

#endif
