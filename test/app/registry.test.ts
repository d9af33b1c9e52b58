import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import {
  AttachPolicyCommand,
  AttachThingPrincipalCommand,
  CreateKeysAndCertificateCommand,
  CreatePolicyCommand,
  CreateThingCommand,
  DetachPolicyCommand,
  IoTClient,
  UpdateCertificateCommand,
} from '@aws-sdk/client-iot'
import { connectAsync } from 'mqtt'
import type { IClientOptions, MqttClient } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { makeCertificateFolder } from '../../src/identity/certificates/certificate-folder.ts'
import { startLab } from './lab-fixtures.ts'

/** The registry in a lab: clients over TLS with certificates of the API, and rules. */
const policyDocument = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Action: 'iot:Connect',
      Resource: 'arn:aws:iot:us-east-1:000000000000:client/${iot:Connection.Thing.ThingName}',
      Condition: { Bool: { 'iot:Connection.Thing.IsAttached': ['true'] } },
    },
    {
      Effect: 'Allow',
      Action: 'iot:Publish',
      Resource:
        'arn:aws:iot:us-east-1:000000000000:topic/${iot:Connection.Thing.Attributes[room]}/*',
    },
  ],
})
const rule = {
  sql:
    "SELECT get_registry_data('DescribeThing', clientid(), 'arn:aws:iam::000000000000:role/r')" +
    ".attributes.room AS room FROM 'kitchen/#'",
  awsIotSqlVersion: '2016-03-23',
  actions: [{ republish: { roleArn: 'arn:aws:iam::000000000000:role/r', topic: 'rooms' } }],
}

async function start() {
  const made = { ca: '' }
  const lab = await startLab(onTestFinished, async (folder) => {
    const directory = path.join(folder, 'certs')
    const nowMs = Date.now()
    const options = { directory, devices: [], hosts: [], force: false, nowMs }
    const { authority, server } = await makeCertificateFolder(options)
    made.ca = readFileSync(authority.certificateFile, 'utf8')
    await mkdir(path.join(folder, 'rules'))
    await writeFile(path.join(folder, 'rules', 'rooms.json'), JSON.stringify(rule))
    return {
      SLUICE_TLS_CERT_FILE: server.certificateFile,
      SLUICE_TLS_KEY_FILE: server.keyFile,
      SLUICE_TLS_CA_FILE: authority.certificateFile,
      SLUICE_HTTP_TLS: 'off',
      SLUICE_MQTTS_PORT: '0',
    }
  })
  return { lab, ca: made.ca, iot: clientOf(lab.url) }
}

function clientOf(endpoint: string): IoTClient {
  const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
  const iot = new IoTClient({ endpoint, region: 'us-east-1', credentials })
  onTestFinished(() => iot.destroy())
  return iot
}

/** A thing with a certificate and a policy that is attached. */
async function setUp(iot: IoTClient) {
  await iot.send(
    new CreateThingCommand({
      thingName: 'lamp',
      attributePayload: { attributes: { room: 'kitchen' } },
    }),
  )
  const {
    certificateArn: target = '',
    certificateId = '',
    certificatePem: cert = '',
    keyPair,
  } = await iot.send(new CreateKeysAndCertificateCommand({ setAsActive: true }))
  await iot.send(new CreatePolicyCommand({ policyName: 'lamps', policyDocument }))
  await iot.send(new AttachPolicyCommand({ policyName: 'lamps', target }))
  await iot.send(new AttachThingPrincipalCommand({ thingName: 'lamp', principal: target }))
  return { target, certificateId, pair: { cert, key: keyPair?.PrivateKey ?? '' } }
}

async function connect(port: number | undefined, options: IClientOptions): Promise<MqttClient> {
  const url = `mqtts://localhost:${port}`
  const client = await connectAsync(url, { reconnectPeriod: 0, ...options }, false)
  onTestFinished(() => client.endAsync(true))
  client.on('error', () => undefined)
  return client
}

const closed = (client: MqttClient) => new Promise<void>((resolve) => client.once('close', resolve))

test('a thing connects with its certificate, and its rule reads the registry', async () => {
  const { lab, ca, iot } = await start()
  const { target, pair } = await setUp(iot)
  // Nobody has asked for policies of other clients.
  const watcher = await lab.connect('anybody', ['rooms'])
  const credentials = { ca, ...pair }
  const client = await connect(lab.mqttsPort, { ...credentials, clientId: 'lamp' })
  await client.publishAsync('kitchen/lamp', '{"on":true}', { qos: 1 })
  expect(await watcher.next()).toEqual(['rooms', { room: 'kitchen' }])
  await expect(connect(lab.mqttsPort, { ...credentials, clientId: 'other' })).rejects.toThrow(
    /Not authorized/,
  )
  const end = closed(client)
  await iot.send(new DetachPolicyCommand({ policyName: 'lamps', target }))
  client.publish('kitchen/lamp', '{}', { qos: 1 })
  await end

  const again = await lab.restart()
  await again.connect('anybody')
  await expect(connect(again.mqttsPort, { ...credentials, clientId: 'lamp' })).rejects.toThrow(
    /Not authorized/,
  )
})

test.each([4, 5] as const)('a certificate that is deactivated ends: MQTT %s', async (version) => {
  const { lab, ca, iot } = await start()
  const { certificateId, pair } = await setUp(iot)
  const options = { ca, ...pair, clientId: 'lamp', protocolVersion: version }
  const client = await connect(lab.mqttsPort, options)
  const codes: (number | undefined)[] = []
  client.on('disconnect', ({ reasonCode }) => codes.push(reasonCode))
  const end = closed(client)
  await iot.send(new UpdateCertificateCommand({ certificateId, newStatus: 'INACTIVE' }))
  await end
  expect(codes).toEqual(version === 5 ? [0x87] : [])
  await expect(connect(lab.mqttsPort, options)).rejects.toThrow(/Not authorized/)
  await iot.send(new UpdateCertificateCommand({ certificateId, newStatus: 'ACTIVE' }))
  await connect(lab.mqttsPort, options)
})
