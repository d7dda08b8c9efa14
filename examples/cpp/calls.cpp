// A client to copy, and a program that uses it: calls [ADDRESS…], with `gateway` and a worker
// running. It needs cppzmq and libzmq: c++ -std=c++17 calls.cpp -lzmq -o calls
//
// Each request carries a number as a header, which the gateway and the workers return. Answers may
// therefore arrive in any order, and a late answer is never taken for the answer to another
// request. With several addresses, each request goes to a gateway that is connected.

#include <algorithm>
#include <chrono>
#include <iostream>
#include <iterator>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <zmq.hpp>
#include <zmq_addon.hpp>

// The answer is an ERROR, from the gateway or from the worker itself. The payload is JSON, or in
// the encoding of the request.
struct Rejected : std::runtime_error {
    explicit Rejected(std::string payload) : std::runtime_error(payload) {}
};

struct Timeout : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A client, which belongs to one thread.
class Client {
public:
    using Milliseconds = std::chrono::milliseconds;

    Client(zmq::context_t& context, const std::vector<std::string>& addresses) : socket_(context, zmq::socket_type::dealer) {
        socket_.set(zmq::sockopt::linger, 0);
        // Otherwise, a socket with several addresses would queue every second request for a gateway
        // that is down.
        socket_.set(zmq::sockopt::immediate, true);
        for (const auto& address : addresses) socket_.connect(address);
    }

    // Sends a request, and returns the number by which `answer` waits for the answer.
    unsigned long send(std::string_view kind, std::string_view payload, Milliseconds timeout = Milliseconds(30'000)) {
        auto number = std::to_string(++last_);
        socket_.set(zmq::sockopt::sndtimeo, static_cast<int>(timeout.count()));
        std::vector<zmq::const_buffer> frames{zmq::buffer(kind), zmq::buffer(number), zmq::buffer(payload)};
        if (!zmq::send_multipart(socket_, frames)) throw Timeout("no gateway is connected");
        waiting_.insert(last_);
        return last_;
    }

    // Returns the payload of the answer to a request, even if other answers arrive before it.
    // Throws Rejected or Timeout.
    std::string answer(unsigned long number, Milliseconds timeout = Milliseconds(30'000)) {
        const auto deadline = std::chrono::steady_clock::now() + timeout;
        while (answers_.find(number) == answers_.end()) {
            const auto left = std::chrono::duration_cast<Milliseconds>(deadline - std::chrono::steady_clock::now());
            socket_.set(zmq::sockopt::rcvtimeo, static_cast<int>(std::max(left.count(), Milliseconds::rep{0})));
            std::vector<zmq::message_t> frames;
            if (!zmq::recv_multipart(socket_, std::back_inserter(frames))) {
                waiting_.erase(number);
                throw Timeout("no answer");
            }
            if (frames.size() < 3) continue;
            // The header is the frame before the payload.
            const auto answered = std::stoul(frames[frames.size() - 2].to_string());
            // A late answer to a call that has timed out is dropped.
            if (waiting_.erase(answered) == 0) continue;
            answers_[answered] = {frames.front().to_string() == "ERROR", frames.back().to_string()};
        }
        auto answer = answers_.extract(number).mapped();
        if (answer.rejected) throw Rejected(std::move(answer.payload));
        return std::move(answer.payload);
    }

private:
    struct Answer {
        bool rejected;
        std::string payload;
    };

    zmq::socket_t socket_;
    unsigned long last_ = 0;
    std::set<unsigned long> waiting_;
    std::map<unsigned long, Answer> answers_;
};

int main(int count, char** arguments) {
    std::vector<std::string> addresses(arguments + 1, arguments + count);
    if (addresses.empty()) addresses.push_back("tcp://127.0.0.1:5559");
    zmq::context_t context;
    Client client(context, addresses);
    std::map<std::string, unsigned long> sent;
    for (const std::string name : {"Ann", "Bob", "Cid"}) {
        sent[name] = client.send("PERSON", R"({"name": ")" + name + R"("})");
    }
    for (const auto& [name, number] : sent) std::cout << name << ": " << client.answer(number) << "\n";
    try {
        client.answer(client.send("PERSON", "{}"));
    } catch (const Rejected& rejected) {
        std::cout << "rejected, " << rejected.what() << "\n";
    }
}
