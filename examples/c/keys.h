// The keys of a socket, from files that `gateway keygen` has written. Each function ends the
// program if it fails.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

// Returns the result of a function of libzmq. Ends the program if the result is -1, which reports a
// failure.
static int checked(int result, const char *what) {
    if (result == -1) {
        fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
        exit(1);
    }
    return result;
}

// Sets an option of a socket to the key with this name in the file at `path`.
static void set_key(void *socket, int option, const char *path, const char *name) {
    char line[256], key[41] = "";
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        exit(1);
    }
    while (!*key && fgets(line, sizeof line, file)) {
        const char *at = strstr(line, name);
        if (at) sscanf(at + strlen(name), " = \"%40[^\"]\"", key);
    }
    fclose(file);
    if (!*key) {
        fprintf(stderr, "%s has no %s\n", path, name);
        exit(1);
    }
    checked(zmq_setsockopt(socket, option, key, strlen(key)), path);
}

// Sets the two keys of a socket, which are in the file `own`, and the gateway's public key, which
// is in the file `gateways`.
static void set_keys(void *socket, const char *own, const char *gateways) {
    set_key(socket, ZMQ_CURVE_PUBLICKEY, own, "public-key");
    set_key(socket, ZMQ_CURVE_SECRETKEY, own, "secret-key");
    set_key(socket, ZMQ_CURVE_SERVERKEY, gateways, "public-key");
}
