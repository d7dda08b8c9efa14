// A client to copy, and a program that uses it: node calls.mjs [ADDRESS…], with `gateway` and a
// worker running. It needs the package zeromq 6.
//
// A call sends a request and resolves to its one answer. Each request carries a number as a header,
// which the gateway and the workers return. Answers may therefore arrive in any order, and a late
// answer is never taken for the answer to another request. With several addresses, each request
// goes to a gateway that is connected.

import { pathToFileURL } from "node:url"
import { Dealer } from "zeromq"

/** The answer is an ERROR, from the gateway or from the worker itself. */
export class Rejected extends Error {
  constructor(payload) {
    let details = {}
    try {
      details = JSON.parse(payload.toString()) ?? {}
    } catch {
      // The payload is not JSON, but in the encoding of the request.
    }
    super(details.message ?? payload.toString())
    this.payload = payload
    this.byGateway = details.domain === "gateway"
    this.reason = details.reason // such as schema_violation, timeout or worker_lost
    this.field = details.field
    this.retryable = details.retryable === true
  }
}

/** A client for concurrent calls. */
export class Client {
  #socket = new Dealer({ linger: 0, immediate: true })
  #waiting = new Map()
  #last = 0
  #sending = Promise.resolve()

  constructor(...addresses) {
    for (const address of addresses) this.#socket.connect(address)
    this.#read()
  }

  /**
   * Resolves to the payload of the answer. Rejects with Rejected, or with an Error after `timeout`
   * milliseconds.
   */
  call(kind, payload, timeout = 30_000) {
    const number = String(++this.#last)
    return new Promise((resolve, reject) => {
      const late = () => this.#end(number)?.reject(new Error("no answer"))
      this.#waiting.set(number, { resolve, reject, timer: setTimeout(late, timeout) })
      // A socket sends one message at a time.
      const send = () => this.#waiting.has(number) && this.#socket.send([kind, number, payload])
      this.#sending = this.#sending.then(send).catch((error) => this.#end(number)?.reject(error))
    })
  }

  #end(number) {
    const call = this.#waiting.get(number)
    clearTimeout(call?.timer)
    this.#waiting.delete(number)
    return call // undefined if the call has timed out
  }

  async #read() {
    for await (const [kind, ...frames] of this.#socket) {
      const payload = frames.pop()
      const call = this.#end(frames.pop()?.toString())
      if (kind.toString() === "ERROR") call?.reject(new Rejected(payload))
      else call?.resolve(payload)
    }
  }

  close() {
    this.#socket.close()
  }
}

async function main(addresses) {
  const client = new Client(...addresses)
  const names = ["Ann", "Bob", "Cid"]
  const people = names.map((name) => JSON.stringify({ name }))
  const answers = await Promise.all(people.map((person) => client.call("PERSON", person)))
  names.forEach((name, n) => console.log(`${name}: ${answers[n]}`))
  await client.call("PERSON", "{}").catch((error) => console.log(`rejected, ${error.reason}: ${error.message}`))
  client.close()
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const addresses = process.argv.slice(2)
  await main(addresses.length ? addresses : ["tcp://127.0.0.1:5559"])
}
