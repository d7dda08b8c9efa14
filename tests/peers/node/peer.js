// A peer of Node's zeromq that ../program.py starts; that file says how it is used.
"use strict"

const zmq = require("zeromq")

function pattern(size) {
  const bytes = Buffer.alloc(size)
  for (let n = 0; n < size; n++) bytes[n] = n % 251
  return bytes
}

function read(word) {
  return word[0] === "#" ? pattern(Number(word.slice(1))) : Buffer.from(word.slice(1), "hex")
}

function show(frame) {
  if (frame.length <= 4096) return "=" + frame.toString("hex")
  return (frame.equals(pattern(frame.length)) ? "#" : "!") + frame.length
}

const kinds = {
  dealer: zmq.Dealer,
  req: zmq.Request,
  rep: zmq.Reply,
  router: zmq.Router,
  pub: zmq.Publisher,
  xpub: zmq.XPublisher,
  sub: zmq.Subscriber,
  xsub: zmq.XSubscriber,
}

async function main() {
  const [kind, way, endpoint, ...keys] = process.argv.slice(2)
  // A worker that dies must not wait to be heard.
  const options = { linger: 0 }
  if (keys.length) {
    ;[options.curvePublicKey, options.curveSecretKey] = keys
    if (keys[2]) options.curveServerKey = keys[2]
    else options.curveServer = true
  }
  const socket = new kinds[kind](options)
  // A router must give its peer a name to be able to speak first.
  const named = kind === "router" ? ["gateway"] : []
  if (way === "connect") socket.connect(endpoint, ...named.map((routingId) => ({ routingId })))
  else await socket.bind(endpoint)
  console.log("ready", socket.lastEndpoint)
  const lines = require("node:readline").createInterface({ input: process.stdin })
  for await (const line of lines) {
    const [order, ...words] = line.trim().split(" ")
    if (order === "+" || order === "-") {
      const prefix = read(words[0])
      if (kind === "xsub") await socket.send(Buffer.concat([Buffer.from([order === "+" ? 1 : 0]), prefix]))
      else if (order === "+") socket.subscribe(prefix)
      else socket.unsubscribe(prefix)
    } else if (order === ">") await socket.send([...named, ...words.map(read)])
    else console.log((await socket.receive()).slice(named.length).map(show).join(" "))
  }
  process.exit(0)
}

main()
