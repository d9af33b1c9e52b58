import { IoTClient, CreateTopicRuleCommand } from '@aws-sdk/client-iot'
import { IoTDataPlaneClient, PublishCommand } from '@aws-sdk/client-iot-data-plane'
import path from 'node:path'
import { connectAsync } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createLogger } from '../../src/telemetry/telemetry.ts'
import { temporaryFolder } from '../helpers/sluice-process.ts'

const topicBytesMax = 600
const topicSlashesMax = 20
const levels = (count: number) => Array.from({ length: count }, (_, index) => index).join('/')
const roleArn = 'arn:aws:iam::000000000000:role/republish'

const ruleFrom = (filter: string) =>
  new CreateTopicRuleCommand({
    ruleName: `from_${filter.split('/').length}`,
    topicRulePayload: { sql: `SELECT * FROM '${filter}'`, actions: [] },
  })

async function startLab() {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  const config = loadConfig(
    {
      SLUICE_MQTT_TOPIC_BYTES_MAX: String(topicBytesMax),
      SLUICE_MQTT_TOPIC_SLASHES_MAX: String(topicSlashesMax),
      SLUICE_MQTT_PORT: '0',
      SLUICE_HTTP_PORT: '0',
      SLUICE_LAB_PORT: '0',
      SLUICE_DATA_DIR: path.join(folder.path, 'data'),
      SLUICE_RULES_DIR: path.join(folder.path, 'rules'),
    },
    'lab',
  )
  const logger = await createLogger('silent', { pretty: false })
  const app = await startApp({ config, logger, clock: systemClock })
  onTestFinished(() => app.stop())
  const url = `http://127.0.0.1:${app.ports.http}`
  const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
  const settings = { endpoint: url, region: 'us-east-1', credentials, maxAttempts: 1 }
  return {
    url,
    mqttPort: app.ports.mqtt,
    iot: new IoTClient(settings),
    iotData: new IoTDataPlaneClient(settings),
  }
}

test('topics that the operator allows MQTT clients are allowed everywhere', async () => {
  const { url, mqttPort, iot, iotData } = await startLab()
  const subscriber = await connectAsync({ port: mqttPort, protocolVersion: 4 })
  onTestFinished(() => subscriber.endAsync())
  await subscriber.subscribeAsync('#')
  const received = new Promise<readonly string[]>((resolve) => {
    const topics: string[] = []
    subscriber.on('message', (topic) => {
      if (topics.push(topic) === 2) resolve(topics)
    })
  })

  const prefix = `deep/${'x'.repeat(270)}`
  const republish = { roleArn, topic: `${prefix}/\${topic()}`, headers: { responseTopic: prefix } }
  const topicRulePayload = { sql: "SELECT * FROM 'a/#'", actions: [{ republish }] }
  await iot.send(new CreateTopicRuleCommand({ ruleName: 'deeper', topicRulePayload }))
  const constant = { ...republish, topic: `${prefix}/${levels(topicSlashesMax - 1)}` }
  await iot.send(
    new CreateTopicRuleCommand({
      ruleName: 'constant',
      topicRulePayload: { sql: "SELECT * FROM 'b'", actions: [{ republish: constant }] },
    }),
  )

  // FROM may be as deep as topics are; one level more is refused where it stands.
  await iot.send(ruleFrom(levels(topicSlashesMax + 1)))
  await expect(iot.send(ruleFrom(levels(topicSlashesMax + 2)))).rejects.toMatchObject({
    name: 'SqlParseException',
    message: expect.stringContaining(`more than ${topicSlashesMax} slashes`),
  })

  const topic = `a/${'x'.repeat(280)}/${levels(17)}`
  await iotData.send(new PublishCommand({ topic, qos: 1, responseTopic: prefix, payload: '{}' }))
  expect((await received).toSorted()).toEqual([topic, `${prefix}/${topic}`])

  const message = { topic, payload: {} }
  const body = JSON.stringify({ ruleName: 'deeper', message })
  const answer = await fetch(`${url}/v1/evaluate`, { method: 'POST', body })
  expect(await answer.json()).toMatchObject({ matched: true, errors: [] })

  const tooDeep = new PublishCommand({ topic: levels(topicSlashesMax + 2), payload: '' })
  await expect(iotData.send(tooDeep)).rejects.toMatchObject({
    name: 'InvalidRequestException',
    message: `the topic has more than ${topicSlashesMax} slashes`,
  })
  const tooLong = { ...republish, topic: 'x'.repeat(topicBytesMax + 1) }
  const refused = { sql: "SELECT * FROM 'b'", actions: [{ republish: tooLong }] }
  await expect(
    iot.send(new CreateTopicRuleCommand({ ruleName: 'refused', topicRulePayload: refused })),
  ).rejects.toThrow(/longer than 600 bytes/)
})
