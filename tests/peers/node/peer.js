// A peer that uses Node's zeromq, for ../program.py, which describes the arguments and commands.
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
  // A worker that exits must not wait until its messages are sent.
  const options = { linger: 0 }
  if (keys.length) {
    ;[options.curvePublicKey, options.curveSecretKey] = keys
    if (keys[2]) options.curveServerKey = keys[2]
    else options.curveServer = true
  }
  const socket = new kinds[kind](options)
  // A ROUTER must name its peer to be able to send the first message.
  const identity = kind === "router" ? ["gateway"] : []
  if (way === "connect") socket.connect(endpoint, ...identity.map((routingId) => ({ routingId })))
  else await socket.bind(endpoint)
  console.log("ready", socket.lastEndpoint)
  const lines = require("node:readline").createInterface({ input: process.stdin })
  for await (const line of lines) {
    const [command, ...words] = line.trim().split(" ")
    if (command === "+" || command === "-") {
      const prefix = read(words[0])
      if (kind === "xsub") await socket.send(Buffer.concat([Buffer.from([command === "+" ? 1 : 0]), prefix]))
      else if (command === "+") socket.subscribe(prefix)
      else socket.unsubscribe(prefix)
    } else if (command === ">") await socket.send([...identity, ...words.map(read)])
    else console.log((await socket.receive()).slice(identity.length).map(show).join(" "))
  }
  process.exit(0)
}

main()
