/* Connections of the load generator: state, buffered writes, and the counters of a run. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum kind { TEXT, NATS, MQTT };
enum { ACKNOWLEDGE_EVERY = 100, STAMP = 17 /* a caret and sixteen digits */, MAX_STEPS = 8, MAX_SAMPLES = 1 << 22 };

struct bytes {
    char *start;
    size_t length;
};

struct message {
    struct bytes frame;
    size_t stamp_at, serial_at;
    int serial_width;
};

struct connection {
    int fd, port;
    enum kind kind;
    size_t group;
    struct { struct bytes send, wait; } steps[MAX_STEPS]; /* of the login */
    int step_count;
    char *login_input; /* received during the login and not searched yet */
    size_t login_input_length;
    struct message *messages; /* of a writer */
    size_t message_count, next_message;
    uint32_t serial;
    char *answer; /* part of every response to a message of this writer */
    size_t answer_length;
    char *acknowledgement;
    size_t acknowledgement_length, unacknowledged;
    char *out; /* to be sent */
    size_t out_start, out_length, out_size;
    char tail[1024]; /* received, and not complete yet */
    size_t tail_length;
};

struct group { /* a pair, or a room */
    size_t fan, sent, delivered;
    size_t *writers, writer_count;
    int dirty;
};

struct run {
    size_t window;
    double rate;
    size_t delivered, answers, awaited_answers, issued;
    float *samples; /* milliseconds */
    size_t sample_count;
};

extern struct run run;
extern struct group *groups;
extern struct group **dirty; /* groups with deliveries since the last turn */
extern size_t dirty_count;

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint64_t now_ns(void);

/* Append bytes to the write buffer of a connection. */
void queue(struct connection *c, const char *bytes, size_t length);

/* Send as much of the write buffer as the socket takes. Does not block. */
void flush(struct connection *c);

/* Count a delivery, with its latency since `stamp` (nanoseconds). */
void count_delivery(struct connection *c, uint64_t stamp, uint64_t now);
