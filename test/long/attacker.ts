/**
 * A child process that misbehaves against a server on this machine until it is killed. It prints
 * `on` once the attack is in place.
 *
 *   attacker.ts <kind> <MQTT port> <HTTP port> <access key id>
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { connectPacket, encode, publishPacket } from '../ingress/packets.ts'

const [kind = '', mqttPort = '', httpPort = '', accessKeyId = ''] = process.argv.slice(2)
/** Not the address of the good client, as far as the system has more than one of its own. */
const localAddress = process.platform === 'linux' ? '127.0.0.2' : '127.0.0.1'

function open(port: string): Socket {
  return connect({ port: Number(port), host: '127.0.0.1', localAddress }).on(
    'error',
    () => undefined,
  )
}

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => void socket.once('close', () => resolve()))

let isOn = false
function on(): void {
  if (!isOn) process.stdout.write('on\n')
  isOn = true
}

/** Does it at once, and again for as long as the process lives. */
function keepUp(
  count: number,
  act: (index: number) => Promise<unknown>,
  { pauseMs = 100 }: { readonly pauseMs?: number } = {},
): void {
  for (let index = 0; index < count; index++) {
    void (async () => {
      for (;;) {
        await act(index)
        await pause(pauseMs)
      }
    })()
  }
}

/** More bytes than the broker holds for all of its clients. */
function sendHalf(): void {
  const connections = 2_600
  const half = encode(publishPacket({ payload: Buffer.alloc(131_000) })).subarray(0, 120_000)
  let sent = 0
  keepUp(connections, async (index) => {
    const socket = open(mqttPort)
    socket.write(encode(connectPacket({ clientId: `half-${index}`, keepalive: 0 })))
    socket.once('data', () =>
      socket.write(half, () => {
        // Those that are held back do not get all of it sent.
        if (++sent > connections * 0.75) on()
      }),
    )
    await closed(socket)
  })
}

/** Invented users, whose connections are closed at once: some hundreds a second. */
function logIn(): void {
  let logins = 0
  const loginOnce = async () => {
    const socket = open(mqttPort)
    const user = `nobody-${logins++}`
    const password = Buffer.from(user)
    socket.write(encode(connectPacket({ clientId: user, username: user, password })))
    await pause(20)
    socket.destroy()
    if (logins > 600) on()
  }
  keepUp(100, loginOnce, { pauseMs: 400 })
}

/** Bodies of which one byte comes, with the id of a key whose secret the sender does not have. */
function sendOneByte(): void {
  const at = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  const credential = `Credential=${accessKeyId}/${at.slice(0, 8)}/eu-central-1/iotdata/aws4_request`
  const head = [
    'POST /topics/a HTTP/1.1',
    'Host: 127.0.0.1',
    'Content-Length: 100000',
    `X-Amz-Date: ${at}`,
    `Authorization: AWS4-HMAC-SHA256 ${credential}, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`,
  ]
  let sent = 0
  keepUp(400, async () => {
    const socket = open(httpPort)
    socket.resume()
    socket.write(`${head.join('\r\n')}\r\n\r\nx`)
    if (++sent >= 400) on()
    await closed(socket)
  })
}

function connectAndReset(): void {
  let resets = 0
  keepUp(60, async (index) => {
    for (let count = 0; count < 20; count++) {
      const socket = open(index % 2 === 0 ? mqttPort : httpPort)
      socket.once('connect', () => socket.resetAndDestroy())
      await closed(socket)
      if (++resets >= 1_200) on()
    }
  })
}

const attacks: Readonly<Record<string, () => void>> = {
  'half-sent messages': sendHalf,
  'junk logins': logIn,
  'one-byte bodies': sendOneByte,
  'connect and reset': connectAndReset,
}
attacks[kind]?.()
