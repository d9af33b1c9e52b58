import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { DeleteConnectionCommand } from '@aws-sdk/client-iot-data-plane'
import { connectAsync } from 'mqtt'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startLab } from './lab-fixtures.ts'

type Versions = 4 | 5
const versions: readonly Versions[] = [4, 5]
const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/) as string
const timestamp = expect.any(Number) as number
const common = { clientId: 'pump', timestamp, sessionIdentifier: uuid }
const principalIdentifier = 'anonymous'

/** A lab with a watcher of all events but its own, and a way to connect the client `pump`. */
async function watchedLab() {
  const lab = await startLab()
  const watcher = await lab.connect('watcher', [
    '$aws/events/presence/+/pump',
    '$aws/events/subscriptions/+/pump',
  ])
  const pump = async (protocolVersion: Versions) => {
    const client = await connectAsync(lab.mqttUrl, {
      clientId: 'pump',
      protocolVersion,
      reconnectPeriod: 0,
      keepalive: 30,
    })
    client.on('error', () => undefined)
    onTestFinished(() => void client.end(true))
    return client
  }
  return { lab, next: watcher.next, pump }
}

describe.each(versions)('a client of protocol level %i', (protocolVersion) => {
  test('connects, subscribes, unsubscribes and disconnects', async () => {
    const { next, pump } = await watchedLab()
    const client = await pump(protocolVersion)
    const [topic, connected] = await next()
    expect([topic, connected]).toEqual([
      '$aws/events/presence/connected/pump',
      {
        ...common,
        eventType: 'connected',
        principalIdentifier,
        ipAddress: '127.0.0.1',
        versionNumber: 0,
      },
    ])
    const { sessionIdentifier } = connected as { readonly sessionIdentifier: string }

    await client.subscribeAsync(['$share/pumps/cmd/#', 'cfg/all'], { qos: 1 })
    expect(await next()).toEqual([
      '$aws/events/subscriptions/subscribed/pump',
      {
        clientId: 'pump',
        timestamp,
        eventType: 'subscribed',
        sessionIdentifier,
        principalIdentifier,
        topics: ['$share/pumps/cmd/#', 'cfg/all'],
      },
    ])
    await client.unsubscribeAsync('$share/pumps/cmd/#')
    expect(await next()).toMatchObject([
      '$aws/events/subscriptions/unsubscribed/pump',
      { eventType: 'unsubscribed', topics: ['$share/pumps/cmd/#'] },
    ])
    await client.endAsync()
    expect(await next()).toEqual([
      '$aws/events/presence/disconnected/pump',
      {
        clientId: 'pump',
        timestamp,
        eventType: 'disconnected',
        clientInitiatedDisconnect: true,
        sessionIdentifier,
        principalIdentifier,
        disconnectReason: 'CLIENT_INITIATED_DISCONNECT',
        versionNumber: 0,
      },
    ])
  })

  test('that another one takes over from is told first, and the version grows', async () => {
    const { next, pump } = await watchedLab()
    await pump(protocolVersion)
    await next()
    await pump(protocolVersion)
    expect(await next()).toMatchObject([
      '$aws/events/presence/disconnected/pump',
      {
        disconnectReason: 'DUPLICATE_CLIENTID',
        clientInitiatedDisconnect: false,
        versionNumber: 0,
      },
    ])
    expect(await next()).toMatchObject([
      '$aws/events/presence/connected/pump',
      { versionNumber: 1 },
    ])
  })

  test.each([
    ['goes without a word', 'CONNECTION_LOST'],
    ['publishes to an answer', 'CLIENT_ERROR'],
    ['is disconnected by the API', 'API_INITIATED_DISCONNECT'],
  ])('%s: %s', async (how, disconnectReason) => {
    const { lab, next, pump } = await watchedLab()
    const client = await pump(protocolVersion)
    await next()
    if (how.startsWith('goes')) client.stream.destroy()
    else if (how.startsWith('publishes')) client.publish('$aws/things/t/shadow/update/accepted', '')
    else await lab.data.send(new DeleteConnectionCommand({ clientId: 'pump' }))
    expect(await next()).toMatchObject([
      '$aws/events/presence/disconnected/pump',
      { disconnectReason },
    ])
  })
})

test('rules see events, and a restart lets versions grow', async () => {
  const lab = await startLab()
  const body = JSON.stringify({
    sql: "SELECT versionNumber AS v FROM '$aws/events/presence/connected/+' WHERE clientId = 'pump'",
    awsIotSqlVersion: '2016-03-23',
    actions: [{ republish: { roleArn: 'arn:aws:iam::000000000000:role/r', topic: 'seen' } }],
  })
  expect((await fetch(`${lab.url}/rules/seen`, { method: 'POST', body })).status).toBe(200)
  const watcher = await lab.connect('watcher', ['seen'])
  await lab.connect('pump')
  expect(await watcher.next()).toEqual(['seen', { v: 0 }])

  const again = await lab.restart()
  const laterWatcher = await again.connect('watcher', ['seen'])
  await again.connect('pump')
  expect(await laterWatcher.next()).toEqual(['seen', { v: 1_000_000 }])
})

test('a client whose id holds a wildcard has no events', async () => {
  const lab = await startLab()
  const watcher = await lab.connect('watcher', ['$aws/events/presence/#'])
  await lab.connect('a+b')
  await lab.connect('plain')
  expect(await watcher.next()).toMatchObject(['$aws/events/presence/connected/plain', {}])
})

test('a client that never sends a CONNECT has no events', async () => {
  const lab = await startLab()
  const watcher = await lab.connect('watcher', ['$aws/events/presence/#'])
  const socket = connectSocket(Number(new URL(lab.mqttUrl).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.destroy()
  await lab.connect('plain')
  expect(await watcher.next()).toMatchObject(['$aws/events/presence/connected/plain', {}])
})
