import { SluiceError } from '../../base/errors.ts'
import type { Host } from '../terminal/host.ts'
import { dataText, onOneLine } from '../terminal/record-line.ts'
import { findEngineApi } from './engine-api.ts'
import type { EngineApi, EngineOptions } from './engine-api.ts'

export interface SelectedOptions extends EngineOptions {
  readonly json?: boolean
}

export interface ListOptions extends EngineOptions {
  readonly rule?: string | undefined
  readonly limit: number
  readonly json: boolean
}

export interface ReplayOptions extends EngineOptions {
  readonly rule?: string | undefined
  readonly all: boolean
  readonly asIs: boolean
}

/** Why bytes are not shown. */
type LeftOut = 'notAllowed' | 'notJson'

/** What is read of an entry of ListDeadLetters. */
interface ShownLetter {
  readonly id: string
  readonly ruleName: string
  readonly action: number | 'errorAction'
  readonly reason: { readonly code: string; readonly message: string }
  readonly attempts: number
  readonly lastMs: number
  readonly field?: string
  readonly destination?: {
    readonly kind?: string
    readonly streamName?: string
    readonly target?: string
  }
  readonly partitionKey?: string
  readonly dataBase64?: string
  readonly dataLeftOut?: LeftOut
  readonly origin: {
    readonly messageId: string
    readonly topic: string
    readonly clientId?: string
    readonly timestampMs: number
    readonly payloadBase64?: string
    readonly payloadLeftOut?: LeftOut
  }
}

const pageMax = 250

/** Prints dead letters, one a line. All functions here reject as `EngineApi` does. */
export async function listDeadLetters(host: Host, options: ListOptions): Promise<void> {
  const engine = await findEngineApi(host, options)
  let count = 0
  for await (const letter of lettersOf(engine, options.rule)) {
    if (count >= options.limit) {
      host.stderr.write(`there are more: --limit says how many are listed\n`)
      return
    }
    count++
    host.stdout.write(options.json ? `${JSON.stringify(letter)}\n` : lineOf(letter))
  }
  if (count === 0) host.stderr.write('there are no dead letters\n')
}

export async function showDeadLetter(
  host: Host,
  id: string,
  options: SelectedOptions,
): Promise<void> {
  const engine = await findEngineApi(host, options)
  for await (const letter of lettersOf(engine)) {
    if (letter.id !== id) continue
    host.stdout.write(options.json === true ? `${JSON.stringify(letter)}\n` : textOf(letter))
    return
  }
  throw new SluiceError('ResourceNotFoundException', `there is no dead letter ${id}`)
}

export async function replayDeadLetters(
  host: Host,
  ids: readonly string[],
  options: ReplayOptions,
): Promise<void> {
  const engine = await findEngineApi(host, options)
  const { rule, asIs } = options
  const body = {
    ...(ids.length > 0 && { ids }),
    ...(rule !== undefined && { ruleName: rule }),
    how: asIs ? 'asIs' : 'rule',
  }
  const answer = await engine.call({ method: 'POST', path: '/v1/dead-letters/replay', body })
  const { replayed, kept } = answer as { readonly replayed: number; readonly kept: number }
  host.stdout.write(`${replayed} are sent again${kept > 0 ? `, ${kept} are kept` : ''}\n`)
}

export async function deleteDeadLetters(
  host: Host,
  ids: readonly string[],
  options: SelectedOptions,
): Promise<void> {
  const engine = await findEngineApi(host, options)
  for (const id of ids) {
    const path = `/v1/dead-letters/${encodeURIComponent(id)}`
    await engine.call({ method: 'DELETE', path })
    host.stdout.write(`${id} is deleted\n`)
  }
}

async function* lettersOf(engine: EngineApi, ruleName?: string): AsyncIterable<ShownLetter> {
  let nextToken: string | undefined
  do {
    const query = { ruleName, nextToken, maxResults: String(pageMax) }
    const page = (await engine.call({ path: '/v1/dead-letters', query })) as {
      readonly deadLetters: readonly ShownLetter[]
      readonly nextToken?: string
    }
    yield* page.deadLetters
    nextToken = page.nextToken
  } while (nextToken !== undefined)
}

function lineOf(letter: ShownLetter): string {
  const { id, ruleName, action, reason, lastMs, origin } = letter
  const when = new Date(lastMs).toISOString()
  const parts = [
    id,
    when,
    `${ruleName} ${actionText(action)}`,
    origin.topic,
    `${reason.code}: ${reason.message}`,
  ]
  return `${parts.map(onOneLine).join('  ')}\n`
}

const whyLeftOut = {
  notAllowed: 'not shown: the policy of this key does not allow sluice:ReadPayloads',
  notJson: 'not shown: it is not JSON, and SLUICE_REDACT names members',
} as const satisfies Record<LeftOut, string>

function bytesText(base64: string | undefined, leftOut: LeftOut | undefined): string {
  if (base64 !== undefined) return dataText(Buffer.from(base64, 'base64'))
  return leftOut === undefined ? '' : whyLeftOut[leftOut]
}

function textOf(letter: ShownLetter): string {
  const { id, ruleName, action, reason, attempts, lastMs, field, destination, origin } = letter
  const { partitionKey, dataBase64, dataLeftOut } = letter
  const target = destination?.streamName ?? destination?.target
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['id', id],
    ['rule', `${ruleName} ${actionText(action)}`],
    ['reason', `${reason.code}: ${reason.message}`],
    ['field', field],
    [
      'calls',
      attempts === 0 ? undefined : `${attempts}, the last at ${new Date(lastMs).toISOString()}`,
    ],
    ['destination', destination && `${destination.kind ?? 'kinesis'} ${target ?? ''}`.trim()],
    ['key', partitionKey],
    ['record', bytesText(dataBase64, dataLeftOut)],
    ['message', `${origin.messageId} at ${new Date(origin.timestampMs).toISOString()}`],
    ['topic', origin.topic],
    ['client', origin.clientId],
    ['payload', bytesText(origin.payloadBase64, origin.payloadLeftOut)],
  ]
  return rows
    .flatMap(([name, value]) =>
      value === undefined || value === '' ? [] : [`${name.padEnd(12)}${onOneLine(value)}\n`],
    )
    .join('')
}

const actionText = (action: number | 'errorAction'): string =>
  action === 'errorAction' ? action : `actions[${action}]`
