// A worker with a key: secured_worker [NAME.key_secret [gateway.key [ADDRESS]]]. It needs libzmq
// (Debian's libzmq3-dev): cc secured_worker.c -lzmq -o secured_worker
//
// docs/security.md shows how to make the keys. The first frame of a request is a token, which
// begins with the name of the client.

#include "keys.h"

int main(int count, char **arguments) {
    const char *own = count > 1 ? arguments[1] : "worker-1.key_secret";
    const char *gateways = count > 2 ? arguments[2] : "gateway.key";
    const char *address = count > 3 ? arguments[3] : "tcp://127.0.0.1:5560";

    void *socket = zmq_socket(zmq_ctx_new(), ZMQ_DEALER);
    set_keys(socket, own, gateways);
    checked(zmq_connect(socket, address), address);
    printf("working for %s\n", address);
    fflush(stdout);

    // The frames of a request are the token, the type, any headers, and the payload. The answer
    // consists of the same frames with another type and payload.
    char client[256] = "", answer[1024];
    for (int n = 0;;) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        checked(zmq_msg_recv(&frame, socket, 0), "receive");
        const int size = (int) zmq_msg_size(&frame);
        const char *data = zmq_msg_data(&frame);
        if (n == 0) {
            const char *end = memchr(data, '#', size);
            snprintf(client, sizeof client, "%.*s", end ? (int) (end - data) : size, data);
        }
        if (!zmq_msg_more(&frame)) {
            snprintf(answer, sizeof answer, "%.*s, %s", size, data, client);
            checked(zmq_send(socket, answer, strlen(answer), 0), "send");
            n = 0;
        } else if (n++ == 1) {
            checked(zmq_send(socket, "REPLY", 5, ZMQ_SNDMORE), "send");
        } else {
            checked(zmq_msg_send(&frame, socket, ZMQ_SNDMORE), "send");
        }
        zmq_msg_close(&frame);
    }
}
