/**
 * What outsiders may do without a login, each beside a good client, which has to keep at least half
 * of the rate that it has without them. The client asks for little, because the attack itself takes
 * a part of the machine. The server and the attacker are processes of their own.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { createAccessKey } from '../../src/identity/access-keys/access-keys.ts'
import { setPassword } from '../../src/identity/passwords/password-file.ts'
import { startChild } from '../helpers/child-process.ts'
import { startSequencePublisher } from '../helpers/sequence-publisher.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import { owner, send, signed } from '../http/guarded-server.ts'
import { connectPacket, encode } from '../ingress/packets.ts'

const timeoutMs = 60_000
const withoutMs = 6_000
const withMs = 12_000
const everything = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['iot:*', 'sluice:*'], Resource: '*' }],
}

async function startLab() {
  const folder = await temporaryFolder()
  const file = (name: string) => path.join(folder.path, name)
  const key = await createAccessKey(file('credentials.json'), { policy: everything })
  await setPassword(file('passwords'), { user: 'known', password: 'right' })
  await setPassword(file('passwords'), { user: 'new', password: 'right' })
  await mkdir(file('rules'))
  const kinesis = { roleArn: 'arn:aws:iam::000000000000:role/r', streamName: 's' }
  const rule = { sql: "SELECT * FROM 'good/+'", awsIotSqlVersion: '2016-03-23' }
  await writeFile(file('rules/good.json'), JSON.stringify({ ...rule, actions: [{ kinesis }] }))
  const lab = startSluice(
    ['lab'],
    {
      AWS_REGION: owner.region,
      SLUICE_AUTH: 'sigv4',
      SLUICE_CREDENTIALS_FILE: file('credentials.json'),
      SLUICE_PASSWORD_FILE: file('passwords'),
      SLUICE_MQTT_ANONYMOUS: 'on',
      SLUICE_DATA_DIR: file('data'),
      SLUICE_LAB_DATA: file('lab'),
      SLUICE_RULES_DIR: file('rules'),
      SLUICE_POLICIES_DIR: file('no-policies'),
    },
    { cwd: folder.path },
  )
  onTestFinished(async () => {
    lab.kill('SIGKILL')
    await lab.ended
    await folder.remove()
  })
  const ready = await lab.ready()
  return { mqtt: Number(ready['mqtt']), http: Number(ready['http']), key }
}

type Lab = Awaited<ReturnType<typeof startLab>>

interface GoodClient {
  /** What it has done so far. */
  readonly count: () => number
  readonly stop: () => unknown
}

/** Publishes by QoS 1 to a rule, at 100 a second at most. */
function publish({ mqtt: port }: Lab): GoodClient {
  const publisher = startSequencePublisher({
    port,
    key: 'good',
    topicPrefix: 'good/',
    window: 64,
    pauseMs: 10,
  })
  return { count: () => publisher.acknowledged(), stop: () => publisher.stop() }
}

/** Does it ten times a second, while at most twenty are under way. */
function repeat(act: () => Promise<boolean>): GoodClient {
  const underway = new Set<Promise<void>>()
  let count = 0
  const actOnce = async () => {
    if (await act().catch(() => false)) count++
  }
  const timer = setInterval(() => {
    if (underway.size >= 20) return
    const acting = actOnce().finally(() => underway.delete(acting))
    underway.add(acting)
  }, 100)
  return {
    count: () => count,
    stop: async () => {
      clearInterval(timer)
      await Promise.all(underway)
    },
  }
}

/** @returns whether the login was accepted */
async function logIn({ mqtt }: Lab, user: string, clientId = user): Promise<boolean> {
  const socket = connect(mqtt, '127.0.0.1').on('error', () => undefined)
  const password = Buffer.from('right')
  socket.write(encode(connectPacket({ clientId, username: user, password })))
  const answer = await new Promise<Buffer | undefined>((resolve) => {
    socket.once('data', resolve)
    socket.once('close', () => resolve(undefined))
  })
  socket.destroy()
  return answer?.[3] === 0
}

/** Logins of one user under one client id after another: a client with the same id would end. */
function loginsOf(lab: Lab): () => Promise<boolean> {
  let clients = 0
  return () => logIn(lab, 'known', `known-${clients++}`)
}

async function publishOverHttp({ http, key }: Lab): Promise<boolean> {
  const given = { method: 'POST', path: '/topics/good/http', body: '{"n":1}' }
  return (await send(http, signed(http, given, { key, service: 'iotdata' }))).status === 200
}

/** What the client does in a second. */
async function rateOf({ count }: GoodClient, duringMs: number): Promise<number> {
  const [before, beganMs] = [count(), performance.now()]
  await pause(duringMs)
  return (count() - before) / ((performance.now() - beganMs) / 1_000)
}

const runs: readonly [attack: string, good: string, start: (lab: Lab) => GoodClient][] = [
  ['half-sent messages', 'publishes', publish],
  ['junk logins', 'logs in', (lab) => repeat(loginsOf(lab))],
  ['one-byte bodies', 'publishes over HTTP', (lab) => repeat(() => publishOverHttp(lab))],
  ['connect and reset', 'publishes', publish],
  ['connect and reset', 'publishes over HTTP', (lab) => repeat(() => publishOverHttp(lab))],
]

test.each(runs)(
  '%s: beside it a client %s at half of its rate or more',
  async (attack, _good, start) => {
    const lab = await startLab()
    const client = start(lab)
    while (client.count() < 10) await pause(10)
    const without = await rateOf(client, withoutMs)
    const ports = [String(lab.mqtt), String(lab.http), lab.key.accessKeyId]
    const attacker = startChild(new URL('./attacker.ts', import.meta.url), [attack, ...ports])
    await attacker.printedLine(/^on$/)
    const during = await rateOf(client, withMs)
    // A user that is not known yet has to get its turn of scrypt meanwhile.
    const isNewLetIn = attack !== 'junk logins' || (await logIn(lab, 'new'))
    await attacker.kill()
    await client.stop()
    console.log(`${attack}: ${without.toFixed(0)}/s without, ${during.toFixed(0)}/s with it`)
    expect(during).toBeGreaterThanOrEqual(without / 2)
    expect(isNewLetIn).toBe(true)
  },
  timeoutMs,
)
