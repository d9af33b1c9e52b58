import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { startChild } from '../helpers/child-process.ts'
import { connectPacket, connectRaw, encode, openRaw, publishPacket, until } from './helpers.ts'

const keepAliveSeconds = 1
const timeoutMs = 1_500
/** Longer than one and a half times the keepalive, and than the other two timeouts. */
const pauseMs = 1_800
const clients = 10

/** A subscriber that reads when it is told to. */
async function connectStuck(port: number) {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  const subscriptions = [{ topic: 'stuck', qos: 0 as const }]
  socket.write(encode(connectPacket({ clientId: 'stuck', keepalive: 0 })))
  socket.write(encode({ cmd: 'subscribe', messageId: 1, subscriptions }))
  let readBytes = 0
  socket.on('data', (chunk: Buffer) => {
    readBytes += chunk.length
  })
  // CONNACK and SUBACK.
  await until(() => readBytes >= 9)
  socket.pause()
  return socket
}

test('clients whose bytes arrived during a pause of the process stay connected', async () => {
  const child = startChild(new URL('./listen-until-killed.ts', import.meta.url), [
    String(timeoutMs),
  ])
  await child.printed(1)
  const { port } = JSON.parse(child.lines[0] ?? '') as { port: number }
  const stuck = await connectStuck(port)
  const publisher = await connectRaw(port, { clientId: 'publisher', keepalive: 0 })
  // More than the buffers of both sockets take: somebody waits for the subscriber to take it.
  const payload = Buffer.alloc(100_000)
  for (let messageId = 1; messageId <= 200; messageId++) {
    publisher.send(publishPacket({ topic: 'stuck', messageId, payload }))
  }
  await until(() => publisher.waiting.length > 50)
  const alive = await Promise.all(
    Array.from({ length: clients }, (_, index) =>
      connectRaw(port, { clientId: `alive ${index}`, keepalive: keepAliveSeconds }),
    ),
  )
  const silent = await connectRaw(port, { clientId: 'silent', keepalive: keepAliveSeconds })
  const late = await openRaw(port)

  process.kill(child.pid, 'SIGSTOP')
  for (const client of alive) client.send({ cmd: 'pingreq' })
  late.send(connectPacket({ clientId: 'late' }))
  stuck.resume()
  await systemClock.sleep(pauseMs)
  process.kill(child.pid, 'SIGCONT')

  for (const client of alive) {
    expect(await client.next()).toMatchObject({ cmd: 'pingresp' })
    client.send({ cmd: 'disconnect' })
  }
  expect(await late.next()).toMatchObject({ cmd: 'connack', returnCode: 0 })
  await until(() => publisher.waiting.length === 200)
  await Promise.all([silent, ...alive].map(({ closed }) => closed))
  expect(child.lines.slice(1).map((line) => JSON.parse(line) as unknown)).toEqual([
    { reason: 'keepalive_timeout' },
  ])
  expect(stuck.destroyed).toBe(false)
})
