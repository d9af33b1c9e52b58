import { evaluate } from '../../api/evaluate.ts'
import type { Evaluation, MessageRequest, TriedRule } from '../../api/evaluate.ts'
import { fromBase64, utf8Of } from './bytes.ts'
import { jsonProblem } from './message.ts'

/** A test as it stands in `<rule>.test.json`, and its name, which can still be changed. */
export interface KeptTest {
  readonly id: number
  readonly name: string
  /** The members after the name, as JSON. */
  readonly members: readonly string[]
}

type Members = Readonly<Record<string, unknown>>

/**
 * Makes a test of what a rule does with a message. It is tried twice: what differs is left out,
 * because a test must find the same each time.
 *
 * @param ruleText the rule as JSON, which says what the test depends on
 * @returns an error for what no test can expect
 */
export async function keepTest(
  rule: TriedRule,
  ruleText: string,
  given: MessageRequest,
): Promise<readonly string[]> {
  const { timestamp = Date.now(), traceId = 'trace-of-the-test', ...others } = given
  const [account] = /accountid/i.test(ruleText)
    ? (await evaluate(rule, given, { templates: ['${accountid()}'] })).templates
    : []
  const message: MessageRequest = {
    ...others,
    ...(/time/i.test(ruleText) && { timestamp }),
    ...(/traceid/i.test(ruleText) && { traceId }),
    ...(/^\d{12}$/.test(account ?? '') && { accountId: account as string }),
  }
  const first = await evaluate(rule, message)
  const second = await evaluate(rule, message)
  const [error] = first.errors
  if (error) throw new Error(`A test expects what works. ${error.where}: ${error.message}`)
  return [`"message": ${messageText(message)}`, `"expect": ${expectationText(first, second)}`]
}

/** The whole file. */
export const testFileOf = (tests: readonly KeptTest[]): string =>
  `[\n${tests
    .map(({ name, members }) =>
      [
        '  {',
        [`"name": ${JSON.stringify(name)}`, ...members].map((line) => `    ${line}`).join(',\n'),
        '  }',
      ].join('\n'),
    )
    .join(',\n')}\n]\n`

/** JSON keeps its text, because reading it would round numbers. */
function messageText({ payloadBase64, topic, ...others }: MessageRequest): string {
  const text = utf8Of(fromBase64(payloadBase64))
  const isJson = text !== undefined && text === text.trim() && jsonProblem(text) === undefined
  return objectText({ topic }, [
    isJson ? `"payload": ${text}` : `"payloadBase64": ${JSON.stringify(payloadBase64)}`,
    ...Object.entries(others).map(([name, value]) => `"${name}": ${JSON.stringify(value)}`),
  ])
}

function expectationText(first: Evaluation, second: Evaluation): string {
  const { matched, outputBase64 } = first
  if (!matched) return objectText({ matched }, [])
  const members: string[] = []
  if (outputBase64 !== undefined && outputBase64 === second.outputBase64) {
    const text = utf8Of(fromBase64(outputBase64))
    const isJson = first.output !== undefined && text !== undefined
    members.push(isJson ? `"output": ${text.trim()}` : `"outputBase64": "${outputBase64}"`)
  }
  const kinds = ['kinesis', 'republish'] as const
  const same = kinds.map((kind) => {
    const again = actionsOf(kind, second)
    return actionsOf(kind, first).map((action, index) => sameMembers(action, again[index] ?? {}))
  })
  const [records = [], republished = []] = same
  const calls = callsOf(first).map((call, index) => sameMembers(call, callsOf(second)[index] ?? {}))
  // Of a record the stream must be the same; without it nothing can be expected.
  if (records.every(({ streamName }) => streamName !== undefined)) {
    const expected = records.map(({ streamName, partitionKey }) => ({ streamName, partitionKey }))
    members.push(`"records": ${JSON.stringify(expected)}`)
  }
  if (republished.length > 0 && republished.every(({ topic }) => topic !== undefined)) {
    members.push(`"republished": ${JSON.stringify(republished)}`)
  }
  if (calls.length > 0) members.push(`"calls": ${JSON.stringify(calls)}`)
  return objectText({ matched }, members)
}

const actionsOf = (kind: string, { actions }: Evaluation): readonly Members[] =>
  actions.flatMap((action) => (action[kind] === undefined ? [] : [action[kind]]))

const callsOf = ({ actions }: Evaluation): readonly Members[] =>
  actions.flatMap((action) =>
    Object.entries(action)
      .filter(([kind]) => kind !== 'kinesis' && kind !== 'republish')
      .map(([kind, members]) => ({ kind, ...members })),
  )

/** The members that two tries have in common, also inside objects. */
function sameMembers(one: Members, other: Members): Members {
  return Object.fromEntries(
    Object.entries(one).flatMap(([name, member]) => {
      const again = other[name]
      if (JSON.stringify(member) === JSON.stringify(again)) return [[name, member]]
      return isObject(member) && isObject(again) ? [[name, sameMembers(member, again)]] : []
    }),
  )
}

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function objectText(members: Members, texts: readonly string[]): string {
  const all = [
    ...Object.entries(members).map(([name, value]) => `"${name}": ${JSON.stringify(value)}`),
    ...texts,
  ]
  return `{\n      ${all.join(',\n      ')}\n    }`
}
