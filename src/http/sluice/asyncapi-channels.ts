import { createHash } from 'node:crypto'

/**
 * Topic filters and streams as channels of AsyncAPI 3.0: the key that names a channel in the
 * document, its address, and the parameters of the address.
 *
 *   filter            key                      address
 *   dt/+/telemetry    mqtt.dt._any.telemetry   dt/{level2}/telemetry
 *   a/#               mqtt.a._all              a/{rest}
 *   a/{b}             mqtt.a._u7b_b_u7d_       a/{level2}, which is `{b}` and nothing else
 */
export interface ChannelPlace {
  readonly key: string
  readonly address: string
  readonly parameters: Readonly<Record<string, ChannelParameter>>
}

interface ChannelParameter {
  readonly description?: string
  readonly enum?: readonly string[]
}

/** Longer parts of keys end in a digest, so that a generator can name files after whole keys. */
const keyCharactersMax = 100
const digestCharacters = 32

/** `{` and `}` mark parameters in an address, and AsyncAPI takes neither `?` nor `#` there. */
const unaddressable = /[{}?#]/

/** @param filter a filter that a rule may have */
export function channelOfFilter(filter: string): ChannelPlace {
  const parameters: Record<string, ChannelParameter> = {}
  const address = filter.split('/').map((level, index) => {
    const name = level === '#' ? 'rest' : `level${index + 1}`
    const parameter = parameterOf(level)
    if (parameter === undefined) return level
    parameters[name] = parameter
    return `{${name}}`
  })
  return { key: `mqtt.${keyOf(filter)}`, address: address.join('/'), parameters }
}

function parameterOf(level: string): ChannelParameter | undefined {
  if (level === '+') return { description: 'Any one level of the topic.' }
  if (level === '#') return { description: 'One level or more, with the slashes between them.' }
  return unaddressable.test(level) ? { enum: [level] } : undefined
}

const shardId: ChannelParameter = { description: 'A shard, such as shardId-000000000000.' }

export const channelOfStream = (region: string, streamName: string): ChannelPlace => ({
  key: `kinesis.${region}.${keyOf(streamName)}`,
  address: `kinesis/${streamName}/{shardId}`,
  parameters: { shardId },
})

/** The streams whose names a template of a rule makes of each message. */
export const templatedStreams: ChannelPlace = {
  key: 'kinesisByTemplate',
  address: 'kinesis/{streamName}/{shardId}',
  parameters: { streamName: { description: 'What a template makes of a message.' }, shardId },
}

/** Where devices publish to one rule, whatever its filter is. */
export const channelOfBasicIngest = (ruleNames: readonly string[]): ChannelPlace => ({
  key: 'basicIngest',
  address: '$aws/rules/{ruleName}/{topic}',
  parameters: {
    ruleName: { enum: ruleNames },
    topic: { description: 'The topic that the rule sees, with its slashes.' },
  },
})

/**
 * A text in the characters that AsyncAPI recommends for keys. No two texts get the same key: `_`
 * begins every escape, and is escaped itself.
 */
export function keyOf(text: string): string {
  const whole = text.replaceAll(/[^a-zA-Z0-9-]/gu, inKey)
  if (whole.length <= keyCharactersMax) return whole
  const digest = createHash('sha256').update(whole).digest('hex').slice(0, digestCharacters)
  return `${whole.slice(0, keyCharactersMax - digestCharacters)}${digest}`
}

const written: Readonly<Record<string, string>> = { '/': '.', '+': '_any', '#': '_all', _: '__' }

function inKey(character: string): string {
  return written[character] ?? `_u${character.codePointAt(0)?.toString(16) ?? ''}_`
}
