#define _GNU_SOURCE
#include "receive.h"

#include <string.h>

static uint64_t stamp_of(const char *digits) {
    uint64_t stamp = 0;
    for (int i = 0; i < STAMP - 1; i++)
        stamp = stamp << 4 | (uint64_t)(digits[i] <= '9' ? digits[i] - '0' : digits[i] - 'a' + 10);
    return stamp;
}

static void check_for_errors(const char *data, size_t length) { /* in JIM and JetStream */
    if (memmem(data, length, "\"error\"", 7) != NULL) die("refused: %.*s", (int)(length < 400 ? length : 400), data);
}

/* Other protocols: a delivery is known by the caret of its text. */
static size_t receive_deliveries(struct connection *c, const char *data, size_t length) {
    const char *at = data, *end = data + length, *caret;
    uint64_t now = now_ns();
    if (c->message_count) check_for_errors(data, length);
    while ((caret = memchr(at, '^', (size_t)(end - at))) != NULL) {
        if (end - caret < STAMP) return (size_t)(caret - data);
        count_delivery(c, stamp_of(caret + 1), now);
        at = caret + STAMP;
    }
    return length;
}

/* A writer: a response is known by the words that the plan has for it. */
static size_t receive_answers(struct connection *c, const char *data, size_t length) {
    const char *at = data, *end = data + length, *found;
    check_for_errors(data, length);
    while ((found = memmem(at, (size_t)(end - at), c->answer, c->answer_length)) != NULL) {
        run.answers++;
        at = found + c->answer_length;
    }
    size_t rest = (size_t)(end - at), most = c->answer_length - 1; /* may be the beginning of an answer */
    return length - (rest < most ? rest : most);
}

/* A JetStream delivery names the subject on which to acknowledge it and everything before it. */
static void acknowledge_stream(struct connection *c, const char *data, size_t length) {
    for (size_t at = length < 8 ? 0 : length - 8; at > 0; at--) {
        if (memcmp(data + at, "$JS.ACK.", 8)) continue;
        const char *space = memchr(data + at, ' ', length - at);
        if (space == NULL) continue;
        queue(c, "PUB ", 4);
        queue(c, data + at, (size_t)(space - data) - at);
        queue(c, " 0\r\n\r\n", 6);
        c->unacknowledged = 0;
        return;
    }
}

/* MQTT is binary, and its bytes may look like a caret, so packets are parsed. Each delivery of QoS 1 is acknowledged. */
static size_t receive_packets(struct connection *c, const char *data, size_t length) {
    const unsigned char *at = (const unsigned char *)data, *end = at + length;
    uint64_t now = now_ns();
    while (end - at >= 2) {
        size_t size = 0, head = 1;
        for (int shift = 0; head < (size_t)(end - at); shift += 7) {
            size |= (size_t)(at[head] & 127) << shift;
            if (at[head++] < 128) break;
        }
        if (at[head - 1] >= 128 || (size_t)(end - at) < head + size) break;
        if (at[0] >> 4 == 4) run.answers++;
        if (at[0] >> 4 == 3) {
            const unsigned char *topic = at + head;
            size_t text = head + 2 + (size_t)(topic[0] << 8 | topic[1]);
            if (at[0] & 6) {
                char puback[] = {0x40, 2, (char)at[text], (char)at[text + 1]};
                queue(c, puback, sizeof puback);
                text += 2;
            }
            count_delivery(c, stamp_of((const char *)at + text + 1), now);
        }
        at += head + size;
    }
    return (size_t)(at - (const unsigned char *)data);
}

size_t receive_bytes(struct connection *c, const char *data, size_t length) {
    size_t used;
    if (c->kind == MQTT) used = receive_packets(c, data, length);
    else if (c->answer_length) used = receive_answers(c, data, length);
    else used = receive_deliveries(c, data, length);
    if (c->unacknowledged >= ACKNOWLEDGE_EVERY && c->acknowledgement_length) {
        if (c->kind == NATS) acknowledge_stream(c, data, length);
        else queue(c, c->acknowledgement, c->acknowledgement_length), c->unacknowledged = 0;
    }
    if (c->out_length) flush(c);
    return used;
}
