// A worker with a key: node secured_worker.mjs [NAME.key_secret [gateway.key [ADDRESS]]]. It needs
// the package zeromq 6.
//
// docs/security.md shows how to make the keys. The first frame of a request is a token, which
// begins with the name of the client.

import { readFileSync } from "node:fs"
import { Dealer } from "zeromq"

const [own = "worker-1.key_secret", gateways = "gateway.key", address = "tcp://127.0.0.1:5560"] = process.argv.slice(2)
const key = (file, name) => readFileSync(file, "utf8").match(`${name}-key = "(.{40})"`)[1]

const socket = new Dealer({
  curvePublicKey: key(own, "public"),
  curveSecretKey: key(own, "secret"),
  curveServerKey: key(gateways, "public"),
})
socket.connect(address)
console.log(`working for ${address}`)

for await (const [token, kind, ...frames] of socket) {
  const payload = frames.pop()
  const [client] = token.toString().split("#")
  await socket.send([token, "REPLY", ...frames, `${payload}, ${client}`])
}
