import { connect } from 'node:net'
import mqttPacket from 'mqtt-packet'
import type { Packet } from 'mqtt-packet'
import type { MqttProfile } from '../../../src/ingress/mqtt5/profile.ts'
import { mutatedMqtt5 } from '../../e2e/mutated-mqtt.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { settle, startIngress, until } from '../helpers.ts'
import type { TestIngress } from '../helpers.ts'

interface MutationRun {
  readonly sessions: number
  readonly seed: number
  readonly profile: MqttProfile
}

interface MutationResult {
  /** What is wrong, one line each. */
  readonly faults: readonly string[]
  /** Sessions that the broker ended with CONNACK or DISCONNECT. */
  readonly ended: number
}

/** Longer than lines of one reason are limited for. */
const betweenSessionsMs = 61_000
const silenceMax = 5_000

/**
 * One client of MQTT 5 after another, whose bytes are changed at random, on a broker in this
 * process. What the broker sends can be read; what it ends, it ends with one reason code and one
 * line of the log.
 */
export async function mutationRun(run: MutationRun): Promise<MutationResult> {
  const clock = createManualClock()
  const { seed, profile } = run
  const server = await startIngress(() => Promise.resolve(), { profile }, undefined, clock)
  const faults: string[] = []
  let ended = 0
  for (let number = 0; number < run.sessions; number++) {
    const linesBefore = server.lines.length
    const chunks = mutatedMqtt5(seed, number)
    const received = await converse(server.port, chunks)
    await until(async () => (await server.metric('mqttConnections')) === 0)
    await settleTimers()
    const isMqtt5 = speaksMqtt5(Buffer.concat(chunks))
    const lines = server.lines.splice(linesBefore)
    const answers = isMqtt5 ? answersIn(received) : []
    const found = typeof answers === 'string' ? [answers] : findFaults(answers, lines, isMqtt5)
    if (typeof answers !== 'string' && isEnding(answers.at(-1))) ended++
    const bytes = Buffer.concat(chunks).toString('hex')
    faults.push(...found.map((text) => `${profile} ${seed}/${number}: ${text}; ${bytes}`))
    clock.advance(betweenSessionsMs)
  }
  faults.push(...(await unreturned(server)))
  return { faults, ended }
}

/** Lets what the end of a connection plans for the next turns happen. */
const settleTimers = (): Promise<void> => settle()

/** @returns all that comes until the broker closes the connection */
function converse(port: number, chunks: readonly Buffer[]): Promise<Buffer> {
  const received: Buffer[] = []
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  return new Promise((resolve, reject) => {
    socket.setTimeout(silenceMax, () => reject(new Error('the connection stays open')))
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => received.push(chunk))
    socket.once('close', () => resolve(Buffer.concat(received)))
    for (const chunk of chunks) socket.write(chunk)
    socket.end()
  })
}

const connectOf5 = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 5])

/** Whether the first frame is a whole CONNECT of MQTT 5. */
function speaksMqtt5(bytes: Buffer): boolean {
  if (bytes.length === 0 || (bytes[0] ?? 0) >> 4 !== 1) return false
  const end = bytes.subarray(1, 5).findIndex((byte) => byte < 0x80)
  if (end === -1) return false
  const length = bytes
    .subarray(1, end + 2)
    .reduce((sum, byte, index) => sum + (byte & 0x7f) * 2 ** (7 * index), 0)
  const body = bytes.subarray(end + 2)
  return body.length >= length && body.subarray(0, 7).equals(connectOf5) && length >= 7
}

/** @returns the packets, or what cannot be read */
function answersIn(bytes: Buffer): readonly Packet[] | string {
  const parser = mqttPacket.parser({ protocolVersion: 5 })
  const packets: Packet[] = []
  let problem: string | undefined
  parser.on('packet', (packet) => packets.push(packet))
  parser.on('error', (error: unknown) => (problem ??= String(error)))
  const left = parser.parse(bytes)
  if (left > 0) problem ??= `${left} bytes are left`
  return problem === undefined ? packets : `${problem}: ${bytes.toString('hex')}`
}

const isEnding = (packet: Packet | undefined): boolean =>
  packet?.cmd === 'disconnect' || (packet?.cmd === 'connack' && (packet.reasonCode ?? 0) > 0)

function findFaults(
  answers: readonly Packet[],
  lines: readonly Record<string, unknown>[],
  isMqtt5: boolean,
): readonly string[] {
  const errors = lines.filter(({ level }) => level === 'error' || level === 'fatal')
  const found = errors.map((line) => `an error is logged: ${JSON.stringify(line)}`)
  if (!isMqtt5) return found
  const first = answers[0]
  if (first !== undefined && first.cmd !== 'connack') found.push(`${first.cmd} comes first`)
  const endings = answers.filter(isEnding)
  const said = lines.filter(({ msg }) => msg === 'a client was disconnected')
  const isOver = isEnding(answers.at(-1))
  if (endings.length > 1) found.push('it is ended more than once')
  if (endings.length > 0 && !isOver) found.push('something comes after the end')
  const code = isOver ? codeOf(answers.at(-1)) : 0
  if (isOver && code < 0x80) found.push(`it ends with code ${code}`)
  if (said.length !== (isOver ? 1 : 0)) {
    found.push(`${said.length} lines, ending ${isOver}: ${JSON.stringify(said)}`)
  }
  return found
}

const codeOf = (packet: Packet | undefined): number =>
  packet?.cmd === 'disconnect' || packet?.cmd === 'connack' ? (packet.reasonCode ?? 0) : 0

async function unreturned(server: TestIngress): Promise<readonly string[]> {
  const names = ['mqttConnections', 'mqttHeldBytes'] as const
  const values = await Promise.all(names.map((name) => server.metric(name)))
  return names.flatMap((name, index) => (values[index] === 0 ? [] : [`${name}: ${values[index]}`]))
}
