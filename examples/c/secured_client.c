// A client with a key: secured_client [NAME.key_secret [gateway.key [ADDRESS]]]. It needs libzmq
// (Debian's libzmq3-dev): cc secured_client.c -lzmq -o secured_client
//
// docs/security.md shows how to make the keys. If the gateway does not know the client's key, the
// client receives no answer, and the gateway logs the reason.

#include "keys.h"

int main(int count, char **arguments) {
    const char *own = count > 1 ? arguments[1] : "alice.key_secret";
    const char *gateways = count > 2 ? arguments[2] : "gateway.key";
    const char *address = count > 3 ? arguments[3] : "tcp://127.0.0.1:5559";

    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    set_keys(socket, own, gateways);
    const int milliseconds = 5000, linger = 0;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &milliseconds, sizeof milliseconds);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    checked(zmq_connect(socket, address), address);

    checked(zmq_send(socket, "GREETING", 8, ZMQ_SNDMORE), "GREETING");
    checked(zmq_send(socket, "hello", 5, 0), "GREETING");
    // The first frame is the type of the answer, and the last is its payload.
    for (int n = 0, more = 1; more; n++) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        checked(zmq_msg_recv(&frame, socket, 0), "no answer");
        more = zmq_msg_more(&frame);
        const int size = (int) zmq_msg_size(&frame);
        const char *data = zmq_msg_data(&frame);
        if (n == 0) printf("%.*s ", size, data);
        if (!more) printf("%.*s\n", size, data);
        zmq_msg_close(&frame);
    }
    zmq_close(socket);
    zmq_ctx_term(context);
}
