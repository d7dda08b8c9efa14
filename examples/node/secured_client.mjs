// A client with a key: node secured_client.mjs [NAME.key_secret [gateway.key [ADDRESS]]]. It needs
// the package zeromq 6.
//
// docs/security.md shows how to make the keys. If the gateway does not know the client's key, the
// client receives no answer, and the gateway logs the reason.

import { readFileSync } from "node:fs"
import { Dealer } from "zeromq"

const [own = "alice.key_secret", gateways = "gateway.key", address = "tcp://127.0.0.1:5559"] = process.argv.slice(2)
const key = (file, name) => readFileSync(file, "utf8").match(`${name}-key = "(.{40})"`)[1]

const socket = new Dealer({
  curvePublicKey: key(own, "public"),
  curveSecretKey: key(own, "secret"),
  curveServerKey: key(gateways, "public"),
  receiveTimeout: 5_000, // milliseconds; `receive` throws after that
  linger: 0,
})
socket.connect(address)

await socket.send(["GREETING", "hello"])
const [reply, ...frames] = await socket.receive()
console.log(`${reply} ${frames.pop()}`)
