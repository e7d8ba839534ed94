/* Parsing of what a connection receives. */
#pragma once
#include "connection.h"

/* Count the deliveries and responses in these bytes, acknowledge them where that is due, and return how many of the
 * bytes were consumed. */
size_t receive_bytes(struct connection *c, const char *data, size_t length);
