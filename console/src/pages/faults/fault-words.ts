/** A fault rule as docs/LAB.md describes it. */
export interface FaultRule {
  readonly operation?: string
  readonly streamName?: string
  readonly partitionKey?: string
  readonly shardId?: string
  readonly positions?: readonly number[]
  readonly roleArn?: string
  readonly accessKeyId?: string
  readonly times?: number
  readonly after?: number
  readonly probability?: number
  readonly effect: FaultEffect
}

export interface FaultEffect {
  readonly kind: EffectKind
  readonly code?: string
  readonly message?: string
  readonly status?: number
  readonly delayMs?: number
}

export type EffectKind = 'failEntries' | 'error' | 'html' | 'delay' | 'dropCall' | 'dropAnswer'

/** What each effect does, in the words of the form. */
export const effects: readonly {
  readonly kind: EffectKind
  readonly title: string
  readonly explanation: string
}[] = [
  {
    kind: 'failEntries',
    title: 'Single records fail',
    explanation:
      'Records of PutRecords and PutRecord fail one by one, and the others are stored. Sluice sends those that failed again.',
  },
  {
    kind: 'error',
    title: 'The call is refused',
    explanation:
      'The call is not carried out and gets an error, such as a role that may not write.',
  },
  {
    kind: 'html',
    title: 'A load balancer answers',
    explanation: 'The call is not carried out and gets an HTML page with this status.',
  },
  {
    kind: 'delay',
    title: 'The call is slow',
    explanation: 'The call waits before it is carried out.',
  },
  {
    kind: 'dropCall',
    title: 'The call is lost',
    explanation: 'The call is not carried out, and the connection is closed.',
  },
  {
    kind: 'dropAnswer',
    title: 'The answer is lost',
    explanation:
      'The call is carried out, and the connection is closed without an answer: Sluice sends the records again, and the stream has them twice.',
  },
]

/** A rule as one sentence. */
export function wordsOf(rule: FaultRule): string {
  const { operation, streamName, partitionKey, shardId, positions, roleArn, accessKeyId } = rule
  const selected = [
    operation === undefined ? 'Every call' : operation,
    streamName !== undefined && `to ${streamName}`,
    partitionKey !== undefined && `with the key ${partitionKey}`,
    shardId !== undefined && `of ${shardId}`,
    positions !== undefined && `at the positions ${positions.join(', ')}`,
    roleArn !== undefined && `for ${roleArn}`,
    accessKeyId !== undefined && `signed by ${accessKeyId}`,
  ].filter((part) => part !== false)
  const { times, after, probability } = rule
  const bounds = [
    after !== undefined && after > 0 && `after ${after} that pass`,
    times !== undefined && `${times} ${times === 1 ? 'time' : 'times'}`,
    probability !== undefined && `in ${Math.round(probability * 100)} % of the cases`,
  ].filter((part) => part !== false)
  return `${selected.join(' ')}: ${effectWords(rule.effect)}${bounds.map((part) => `, ${part}`).join('')}.`
}

function effectWords({ kind, code, message, status, delayMs }: FaultEffect): string {
  switch (kind) {
    case 'failEntries':
      return `records fail with ${code ?? ''}`
    case 'error':
      return `is refused with ${code ?? ''}${message === undefined ? '' : `, "${message}"`}`
    case 'html':
      return `gets an HTML page with status ${status ?? ''}`
    case 'delay':
      return `waits ${delayMs ?? 0} ms`
    case 'dropCall':
      return 'is not carried out, and the connection is closed'
    case 'dropAnswer':
      return 'is carried out, and gets no answer'
    default:
      return kind satisfies never
  }
}
