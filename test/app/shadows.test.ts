import {
  GetThingShadowCommand,
  ListNamedShadowsForThingCommand,
  UpdateThingShadowCommand,
} from '@aws-sdk/client-iot-data-plane'
import { expect, test } from 'vitest'
import { startLab } from './lab-fixtures.ts'

const shadow = '$aws/things/lamp/shadow'

test('a device, the API and a rule share one shadow', async () => {
  const { url, data, connect } = await startLab()
  const body = JSON.stringify({
    sql: `SELECT current.state.reported.on AS on FROM '${shadow}/update/documents'`,
    awsIotSqlVersion: '2016-03-23',
    actions: [{ republish: { roleArn: 'arn:aws:iam::000000000000:role/r', topic: 'seen' } }],
  })
  expect((await fetch(`${url}/rules/documents`, { method: 'POST', body })).status).toBe(200)

  const lamp = await connect('lamp', [`${shadow}/update/delta`, `${shadow}/get/+`])
  const watcher = await connect('watcher', ['seen', '#'])
  const payload = Buffer.from(JSON.stringify({ state: { desired: { on: true } } }))
  const updated = await data.send(new UpdateThingShadowCommand({ thingName: 'lamp', payload }))
  expect(JSON.parse(Buffer.from(updated.payload ?? []).toString())).toMatchObject({ version: 1 })
  expect(await lamp.next()).toMatchObject([`${shadow}/update/delta`, { state: { on: true } }])

  await lamp.client.publishAsync(
    `${shadow}/update`,
    JSON.stringify({ state: { reported: { on: true } } }),
    { qos: 1 },
  )
  // Wildcards at the beginning of a filter do not match topics that begin with a dollar sign.
  expect(await watcher.next()).toEqual(['seen', {}])
  expect(await watcher.next()).toEqual(['seen', { on: true }])

  await lamp.client.publishAsync(`${shadow}/get`, '{"clientToken":"t"}', { qos: 1 })
  expect(await lamp.next()).toMatchObject([`${shadow}/get/accepted`, { clientToken: 't' }])
  const got = await data.send(new GetThingShadowCommand({ thingName: 'lamp' }))
  expect(JSON.parse(Buffer.from(got.payload ?? []).toString())).toMatchObject({
    state: { desired: { on: true }, reported: { on: true } },
    version: 2,
  })
  const listed = await data.send(new ListNamedShadowsForThingCommand({ thingName: 'lamp' }))
  expect(listed).toMatchObject({ results: [] })
})

test('a rule reads a shadow that is here', async () => {
  const { url, data, connect } = await startLab()
  const payload = Buffer.from(JSON.stringify({ state: { reported: { limit: 7 } } }))
  await data.send(new UpdateThingShadowCommand({ thingName: 'lamp', shadowName: 's', payload }))
  const role = 'arn:aws:iam::000000000000:role/r'
  const body = JSON.stringify({
    sql: `SELECT get_thing_shadow(clientid(), 's', '${role}').state.reported.limit AS limit FROM 'dt'`,
    awsIotSqlVersion: '2016-03-23',
    actions: [{ republish: { roleArn: role, topic: 'seen' } }],
  })
  expect((await fetch(`${url}/rules/reads`, { method: 'POST', body })).status).toBe(200)
  const lamp = await connect('lamp', ['seen'])
  await lamp.client.publishAsync('dt', '{}', { qos: 1 })
  expect(await lamp.next()).toEqual(['seen', { limit: 7 }])
})

test('rules that update a shadow whenever it is updated come to an end', async () => {
  const { url, connect } = await startLab()
  const body = JSON.stringify({
    sql: `SELECT state FROM '${shadow}/update/accepted'`,
    actions: [
      { republish: { roleArn: 'arn:aws:iam::000000000000:role/r', topic: `$${shadow}/update` } },
    ],
  })
  expect((await fetch(`${url}/rules/circle`, { method: 'POST', body })).status).toBe(200)
  const lamp = await connect('lamp', [`${shadow}/get/accepted`])
  await lamp.client.publishAsync(`${shadow}/update`, '{"state":{"reported":{"a":1}}}', { qos: 1 })
  await lamp.client.publishAsync(`${shadow}/get`, '', { qos: 1 })
  // One update, and one for each time that a message may be republished.
  expect(await lamp.next()).toMatchObject([`${shadow}/get/accepted`, { version: 11 }])
})

test('requests to services that have nothing to say are answered, to the client that asked', async () => {
  const { connect } = await startLab()
  const device = await connect('device')
  const other = await connect('other', ['$aws/things/device/#', 'end'])
  const jobs = '$aws/things/device/jobs'
  const timestamp = expect.any(Number) as number
  for (const [topic, answer, document] of [
    ['get', 'get/accepted', { inProgressJobs: [], queuedJobs: [], timestamp, clientToken: 't' }],
    ['$next/get', '$next/get/accepted', { timestamp, clientToken: 't' }],
    ['start-next', 'start-next/accepted', { timestamp, clientToken: 't' }],
    ['j1/get', 'j1/get/rejected', { code: 'ResourceNotFound' }],
    ['what', 'what/rejected', { code: 'InvalidTopic' }],
  ] as const) {
    await device.client.publishAsync(`${jobs}/${topic}`, '{"clientToken":"t"}', { qos: 1 })
    expect(await device.next()).toMatchObject([`${jobs}/${answer}`, document])
    // Subscribers see the request, and not the answer.
    expect(await other.next()).toEqual([`${jobs}/${topic}`, { clientToken: 't' }])
  }
})

test.each([
  ['an answer', `${shadow}/update/accepted`, false],
  ['an event', '$aws/events/presence/connected/x', false],
  ['another service', '$aws/nothing', false],
  ['a status topic', '$SYS/x', false],
  ['a retained request', `${shadow}/update`, true],
  ['Basic Ingest with the retain flag', '$aws/rules/r/a', true],
])('a publish to %s ends the connection, and HTTP refuses it', async (_what, topic, retain) => {
  const { url, connect } = await startLab()
  const { client } = await connect('device')
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()))
  client.publish(topic, '{}', { qos: 0, retain })
  await closed
  const answer = await fetch(`${url}/topics/${topic}?retain=${retain}`, {
    method: 'POST',
    body: '{}',
  })
  expect(answer.status).toBe(400)
})
